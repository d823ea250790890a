// NVIDIA's GPUs, by NVML: a library that comes with the driver, opened where there is one.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "protocol/agent.h"

namespace trailer::metrics {

inline constexpr const char* kNvidiaLibrary = "libnvidia-ml.so.1";

// The driver, as long as it is asked. Owns the library and NVML's hold on the cards: while it lives
// nobody resets them or unloads the driver.
//
// One thread at a time, and not the event loop's: calls take milliseconds, the first after open()
// seconds where it wakes cards that nobody uses, and for ever where the driver hangs.
class Nvidia {
  public:
    // Nothing where there is no such library: a host without NVIDIA's driver. Throws Error where it
    // is there and is none. Finds its functions and calls none: a millisecond at most.
    static std::optional<Nvidia> open(const std::filesystem::path& library = kNvidiaLibrary);

    Nvidia(Nvidia&& other) noexcept;
    Nvidia& operator=(Nvidia&& other) noexcept;
    ~Nvidia();

    // In the driver's own order. Both throw Error where the driver can't be asked. A card that
    // can't be is left out, and the log says so once; what a card does not tell is absent (its
    // memory_total 0).
    std::vector<protocol::Gpu> gpus();
    std::vector<protocol::GpuMetrics> sample();

  private:
    struct Library;

    explicit Nvidia(std::unique_ptr<Library> library);

    std::unique_ptr<Library> library_;
};

}  // namespace trailer::metrics
