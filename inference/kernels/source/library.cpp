// What Python sees: plain functions over an opaque decoder. Sizes are checked by the caller (inference/kernels/native.py).
#include "decoder.h"
#include "draw.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT const char* parley_instruction_set() {
#if defined(__AVX512VNNI__) && defined(__AVX512BF16__)
    return "avx512-vnni-bf16";
#elif defined(__AVX512VNNI__)
    return "avx512-vnni";
#elif defined(__AVX512F__)
    return "avx512";
#elif defined(__AVX2__)
    return "avx2";
#else
    return "portable";
#endif
}

// Null when the system has not enough addresses for the cache.
EXPORT void* parley_create(const Shape* shape) {
    try {
        return new Decoder(*shape);
    } catch (const std::exception&) {
        return nullptr;
    }
}

EXPORT void parley_destroy(void* decoder) { delete static_cast<Decoder*>(decoder); }

EXPORT int parley_shape_matrix(void* decoder, int layer, int which, int format, int outputs, int inputs) {
    auto* model = static_cast<Decoder*>(decoder);
    if (which == HEAD) model->tied = false;
    try {
        model->linear(layer, Matrix(which)).shape(Format(format), outputs, inputs, model->arena);
    } catch (const std::exception&) {
        return 0;
    }
    return 1;
}

// Row i of `rows` becomes output targets[i].
EXPORT int parley_pack_rows(void* decoder, int layer, int which, int source, const uint8_t* rows, int count, int64_t row_bytes,
                            const int* targets) {
    auto* model = static_cast<Decoder*>(decoder);
    const Packer packer{model->linear(layer, Matrix(which))};
    std::atomic<bool> fits{true};
    share(model->threads, count, [&](int row, int) {
        if (!packer.row(targets[row], Source(source), rows + row * row_bytes)) fits = false;
    });
    return fits;
}

EXPORT int parley_set_bias(void* decoder, int layer, int which, const float* bias) {
    auto* model = static_cast<Decoder*>(decoder);
    Linear& weights = model->linear(layer, Matrix(which));
    try {
        weights.shape_bias(model->arena);
    } catch (const std::exception&) {
        return 0;
    }
    std::memcpy(weights.bias, bias, weights.outputs * sizeof(float));
    return 1;
}

EXPORT void parley_set_vector(void* decoder, int layer, int which, const float* values, int64_t count) {
    static_cast<Decoder*>(decoder)->vector(layer, Vector(which)).assign(values, values + count);
}

EXPORT void parley_set_window(void* decoder, int layer, int window) { static_cast<Decoder*>(decoder)->layers[layer].window = window; }

// 0: no memory; 1: done; 2: stopped halfway.
EXPORT int parley_forward(void* decoder, int count, const int* tokens, const int* slots, const int* positions, int wanted,
                          const int* wanted_rows, float* logits, const int* stop) {
    try {
        const bool is_done =
            static_cast<Decoder*>(decoder)->forward(count, tokens, slots, positions, wanted, wanted_rows, logits, stop);
        return is_done ? 1 : 2;
    } catch (const std::exception&) {
        return 0;
    }
}

EXPORT void parley_copy_prefix(void* decoder, int source, int target, int length) {
    static_cast<Decoder*>(decoder)->cache.copy(source, target, length);
}

EXPORT void parley_release(void* decoder, int slot, int keep) { static_cast<Decoder*>(decoder)->cache.release(slot, keep); }

// -1: no memory. The best logit is a number, and no logit is NaN.
EXPORT int parley_draw(const WeightTables* tables, const Drawing* drawing, const float* row, int count) {
    static thread_local DrawingRoom room;
    try {
        return Drawer(*tables, *drawing, row, count, room).draw();
    } catch (const std::exception&) {
        return -1;
    }
}
