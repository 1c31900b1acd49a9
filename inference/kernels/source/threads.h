// A few threads that share short jobs. A step has some 150 of them, so starting one must cost about a microsecond.
//
// A job is a number of chunks; whoever is free claims the next one. A thread that the system has put aside therefore
// delays nobody unless it holds a chunk. Idle threads watch for work for a short while, then sleep.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

class Threads {
  public:
    explicit Threads(int count) {
        for (int i = 1; i < count; i++) helpers.emplace_back([this, i] { help(i); });
    }
    ~Threads() {
        stopping = true;
        wakes.fetch_add(1);
        wakes.notify_all();
        for (auto& helper : helpers) helper.join();
    }
    int count() const { return int(helpers.size()) + 1; }

    // Calls work(chunk, thread) for every chunk below `chunks` (< 65536); returns when all are done. Not re-entrant.
    template <class Work> void run(int chunks, const Work& work) {
        if (chunks <= 1 || helpers.empty()) {
            for (int chunk = 0; chunk < chunks; chunk++) work(chunk, 0);
            return;
        }
        call = [](const void* context, int chunk, int thread) { (*static_cast<const Work*>(context))(chunk, thread); };
        argument = &work;
        done.store(0, std::memory_order_relaxed);
        generation++;
        state.store(uint64_t(generation) << 32 | uint64_t(chunks) << 16);
        if (sleepers.load() > 0) {
            wakes.fetch_add(1);
            wakes.notify_all();
        }
        while (claim_and_do(0)) {}
        while (done.load(std::memory_order_acquire) != chunks) pause();
    }

  private:
    static constexpr int WATCHES = 4000;  // about 50 microseconds

    static void pause() {
#if defined(__x86_64__)
        _mm_pause();
#endif
    }

    // The job's fields may be read after a claim: the job cannot end, nor the next one begin, while a chunk is out.
    bool claim_and_do(int thread) {
        uint64_t seen = state.load(std::memory_order_acquire);
        do {
            if ((seen & 0xffff) >= (seen >> 16 & 0xffff)) return false;
        } while (!state.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel));
        call(argument, int(seen & 0xffff), thread);
        done.fetch_add(1, std::memory_order_release);
        return true;
    }

    void help(int thread) {
        int idle = 0;
        while (!stopping) {
            if (claim_and_do(thread)) {
                idle = 0;
            } else if (++idle < WATCHES) {
                pause();
            } else {
                sleep_until_woken();
                idle = 0;
            }
        }
    }

    void sleep_until_woken() {
        uint32_t before = wakes.load();
        sleepers.fetch_add(1);
        uint64_t seen = state.load();  // a job published before we were counted as a sleeper woke nobody
        if ((seen & 0xffff) >= (seen >> 16 & 0xffff) && !stopping) wakes.wait(before);
        sleepers.fetch_sub(1);
    }

    void (*call)(const void*, int, int) = nullptr;
    const void* argument = nullptr;
    uint32_t generation = 0;
    // generation (32 bits), number of chunks (16), next chunk (16): a claim can never mix two jobs up.
    alignas(64) std::atomic<uint64_t> state{0};
    alignas(64) std::atomic<int> done{0};
    alignas(64) std::atomic<uint32_t> wakes{0};
    std::atomic<int> sleepers{0};
    std::atomic<bool> stopping{false};
    std::vector<std::thread> helpers;
};
