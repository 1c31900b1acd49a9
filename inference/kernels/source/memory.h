// Memory in large pages where the system gives them: weights are read from end to end at every step.
#pragma once
#include <cstddef>
#include <cstdint>
#include <new>
#include <sys/mman.h>

class Memory {
  public:
    Memory() = default;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory() {
        if (start) munmap(start, length);
    }

    // Zeroed memory at a multiple of 64 bytes; it costs nothing until it is touched. Throws std::bad_alloc.
    void reserve(size_t bytes, bool in_large_pages) {
        if (bytes <= length) return;
        if (start) munmap(start, length);
        start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (start == MAP_FAILED) {
            start = nullptr;
            length = 0;
            throw std::bad_alloc();
        }
        length = bytes;
        if (in_large_pages && bytes > (size_t(4) << 20)) madvise(start, bytes, MADV_HUGEPAGE);
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
