// Brings weights from the file's layout into the tiles of linear.h, and reads single rows back (the embedding).
#pragma once
#include "linear.h"

enum Source : int { GGUF_Q4_0 = 0, GGUF_Q4_1 = 1, GGUF_Q8_0 = 2, FLOAT32 = 3 };

INLINE uint16_t half_at(const uint8_t* from) { return load<uint16_t>(from); }

// The nearest float16; scales of weights are far from its limits, larger ones become infinite, smaller ones 0 or coarse.
INLINE uint16_t to_half(float value) {
    const float magnitude = value < 0 ? -value : value;
    const uint16_t sign = value < 0 ? 0x8000 : 0;
    if (magnitude >= 65520.0f) return sign | 0x7c00;
    if (magnitude < 6.103515625e-5f) return sign | uint16_t(magnitude * 16777216.0f + 0.5f);
    uint32_t bits;
    std::memcpy(&bits, &magnitude, 4);
    bits += 0xfff + (bits >> 13 & 1);
    return sign | uint16_t((bits - 0x38000000) >> 13);
}

struct Packer {
    Linear& weights;

    // One group of 32 weights of one output.
    void four_bit(int output, int group, uint16_t scale, uint16_t minimum, const uint8_t* numbers) const {
        const int lane = output % TILE;
        uint8_t* tile = weights.tile(output / TILE);
        uint16_t* head = (uint16_t*)tile + group * 32;
        head[lane] = scale;
        head[16 + lane] = minimum;
        uint8_t* body = tile + weights.head_bytes() + group * 256;
        for (int i = 0; i < 16; i++) body[i / 4 * 64 + lane * 4 + i % 4] = uint8_t(numbers[i] | numbers[i + 16] << 4);
    }
    void eight_bit(int output, int group, uint16_t scale, const int8_t* numbers) const {
        const int lane = output % TILE;
        uint8_t* tile = weights.tile(output / TILE);
        ((uint16_t*)tile)[group * 16 + lane] = scale;
        uint8_t* body = tile + weights.head_bytes() + group * 512;
        for (int i = 0; i < GROUP; i++) body[i / 4 * 64 + lane * 4 + i % 4] = uint8_t(int(numbers[i]) + 128);
    }
    void floats(int output, int group, const float* values) const {
        if (weights.format == BFLOAT16) {
            uint16_t* body = (uint16_t*)weights.tile(output / TILE) + group * GROUP * TILE;
            for (int i = 0; i < GROUP; i++) body[i / 2 * 32 + output % TILE * 2 + i % 2] = to_bfloat16(values[i]);
            return;
        }
        float largest = 0;
        for (int i = 0; i < GROUP; i++) largest = __builtin_fmaxf(largest, __builtin_fabsf(values[i]));
        const uint16_t half = to_half(largest / 127.0f);
        const float scale = half_to_float(half), inverse = scale > 0 ? 1.0f / scale : 0.0f;
        int8_t numbers[GROUP];
        for (int i = 0; i < GROUP; i++) {
            const float number = __builtin_rintf(values[i] * inverse);
            numbers[i] = int8_t(number > 127 ? 127 : number < -127 ? -127 : number);
        }
        eight_bit(output, group, half, numbers);
    }
    // One row of the file as output `output`. False when the source does not fit the packed format.
    bool row(int output, Source source, const uint8_t* from) const {
        const bool is_four_bit = source == GGUF_Q4_0 || source == GGUF_Q4_1;
        if (weights.format == FOUR_BIT && !is_four_bit) return false;
        const int block_bytes = source == FLOAT32 ? GROUP * 4 : source == GGUF_Q8_0 ? 34 : source == GGUF_Q4_1 ? 20 : 18;
        for (int group = 0; group < weights.groups; group++, from += block_bytes) {
            if (source == GGUF_Q8_0 && weights.format == EIGHT_BIT) {
                eight_bit(output, group, half_at(from), (const int8_t*)from + 2);
            } else if (weights.format == FOUR_BIT) {
                uint8_t numbers[GROUP];
                const uint16_t minimum = four_bit_block(source, from, numbers);
                four_bit(output, group, half_at(from), minimum, numbers);
            } else {
                float values[GROUP];
                expand(source, from, values);
                floats(output, group, values);
            }
        }
        return true;
    }

   private:
    // The numbers of a block of 4 bits; returns its minimum.
    static uint16_t four_bit_block(Source source, const uint8_t* block, uint8_t* numbers) {
        const bool has_minimum = source == GGUF_Q4_1;
        const uint8_t* packed = block + (has_minimum ? 4 : 2);
        for (int i = 0; i < 16; i++) {
            numbers[i] = packed[i] & 15;
            numbers[i + 16] = packed[i] >> 4;
        }
        return has_minimum ? half_at(block + 2) : to_half(-8.0f * half_to_float(half_at(block)));
    }
    // The 32 weights of one block. A number times its float16 scale is exact in float32, so a sum rounds once, as elsewhere.
    static void expand(Source source, const uint8_t* block, float* values) {
        if (source == FLOAT32) {
            std::memcpy(values, block, GROUP * sizeof(float));
            return;
        }
        const float scale = half_to_float(half_at(block));
        if (source == GGUF_Q8_0) {
            for (int i = 0; i < GROUP; i++) values[i] = scale * float(((const int8_t*)block + 2)[i]);
            return;
        }
        uint8_t numbers[GROUP];
        const uint16_t half = four_bit_block(source, block, numbers);
        const float minimum = source == GGUF_Q4_1 ? half_to_float(half) : -8.0f * scale;
        for (int i = 0; i < GROUP; i++) values[i] = scale * float(numbers[i]) + minimum;
    }
};

// Output `output`'s weights as floats [inputs].
inline void unpack_row(const Linear& weights, int output, float* to) {
    const int lane = output % TILE;
    const uint8_t* tile = weights.tile(output / TILE);
    const uint16_t* head = (const uint16_t*)tile;
    const uint8_t* body = tile + weights.head_bytes();
    for (int i = 0; i < weights.inputs; i++) {
        const int group = i / GROUP, k = i % GROUP;
        if (weights.format == BFLOAT16) {
            to[i] = from_bfloat16(head[i / 2 * 32 + lane * 2 + i % 2]);
        } else if (weights.format == EIGHT_BIT) {
            const int number = int(body[group * 512 + k / 4 * 64 + lane * 4 + k % 4]) - 128;
            to[i] = half_to_float(head[group * 16 + lane]) * float(number);
        } else {
            const uint8_t both = body[group * 256 + k % 16 / 4 * 64 + lane * 4 + k % 4];
            const int number = k < 16 ? both & 15 : both >> 4;
            to[i] = half_to_float(head[group * 32 + lane]) * float(number) + half_to_float(head[group * 32 + 16 + lane]);
        }
    }
}
