// Memory straight from the system: zeroed, aligned, and touched only as it is used.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <sys/mman.h>
#include <vector>

class Memory {
  public:
    Memory() = default;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory() {
        if (start) munmap(start, length);
    }

    // Zeroed memory at a multiple of a page; it costs nothing until it is touched. What was there is lost when it grows.
    // Throws std::bad_alloc.
    void reserve(size_t bytes) {
        if (bytes <= length) return;
        if (start) munmap(start, length);
        start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (start == MAP_FAILED) {
            start = nullptr;
            length = 0;
            throw std::bad_alloc();
        }
        length = bytes;
    }

    // Hands whole pages within [from, to) back to the system; they read as zero afterwards.
    void forget(size_t from, size_t to) {
        const size_t page = 4096;
        from = (from + page - 1) / page * page;
        to = to / page * page;
        if (from < to) madvise(static_cast<char*>(start) + from, to - from, MADV_DONTNEED);
    }

    template <class T> T* as(size_t byte_offset = 0) const {
        return reinterpret_cast<T*>(static_cast<char*>(start) + byte_offset);
    }

  private:
    void* start = nullptr;
    size_t length = 0;
};

// Weights, one after the other in large pages where the system gives them: they are read from end to end at every step,
// and neither address look-ups nor the processor's prefetching should stop every 4 kilobytes.
class Arena {
  public:
    // Zeroed memory at a multiple of 64 bytes that lives as long as the arena. Throws std::bad_alloc.
    uint8_t* take(size_t bytes) {
        bytes = (bytes + 63) / 64 * 64;
        if (bytes > left) {
            left = bytes > CHUNK ? bytes : CHUNK;
            chunks.push_back(std::make_unique<Memory>());
            chunks.back()->reserve(left + LARGE_PAGE);
            const uintptr_t start = reinterpret_cast<uintptr_t>(chunks.back()->as<uint8_t>());
            next = reinterpret_cast<uint8_t*>((start + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
            madvise(next, left, MADV_HUGEPAGE);
        }
        uint8_t* taken = next;
        next += bytes;
        left -= bytes;
        return taken;
    }

  private:
    static constexpr size_t LARGE_PAGE = size_t(2) << 20, CHUNK = size_t(32) << 20;
    std::vector<std::unique_ptr<Memory>> chunks;
    uint8_t* next = nullptr;
    size_t left = 0;
};
