// Makes the library that stands for NVML in tests, fake_nvml/, do what a test needs. The target
// that includes this is told its path by CMake.
#pragma once

#include <dlfcn.h>

#include <stdexcept>

namespace trailer::metrics {

// Keeps the library loaded, with what it was told; one at a time.
class FakeNvml {
  public:
    static constexpr const char* kPath = FAKE_NVML;
    static constexpr unsigned kNone = ~0U;

    FakeNvml() : library_(::dlopen(kPath, RTLD_NOW | RTLD_LOCAL)) {
        if (library_ == nullptr) throw std::runtime_error(::dlerror());
    }
    ~FakeNvml() {
        fail(nullptr, 0);
        lose(kNone);
        wait(0);
        ::dlclose(library_);
    }
    FakeNvml(const FakeNvml&) = delete;
    FakeNvml& operator=(const FakeNvml&) = delete;

    // That function of NVML answers `result`, for every card; nullptr: none does any more.
    void fail(const char* function, int result) {
        find<void(const char*, int)>("fake_nvml_fail")(function, result);
    }
    // The card can't be reached any more.
    void lose(unsigned index) { find<void(unsigned)>("fake_nvml_lose")(index); }
    // So long does each card take to tell its utilization.
    void wait(unsigned ms) { find<void(unsigned)>("fake_nvml_wait")(ms); }
    // How often it was started, less how often it was shut down.
    int sessions() { return find<int()>("fake_nvml_sessions")(); }

  private:
    template <typename Function>
    Function* find(const char* name) {
        return reinterpret_cast<Function*>(::dlsym(library_, name));
    }

    void* library_;
};

}  // namespace trailer::metrics
