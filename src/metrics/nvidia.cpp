#include "metrics/nvidia.h"

#include <dlfcn.h>

#include <array>
#include <concepts>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "metrics/nvml.h"

namespace trailer::metrics {
namespace {

struct Close {
    void operator()(void* library) const { ::dlclose(library); }
};
using Handle = std::unique_ptr<void, Close>;

struct Functions {
    decltype(&nvml::nvmlInit_v2) init = nullptr;
    decltype(&nvml::nvmlShutdown) shutdown = nullptr;
    decltype(&nvml::nvmlErrorString) error_string = nullptr;
    decltype(&nvml::nvmlDeviceGetCount_v2) count = nullptr;
    decltype(&nvml::nvmlDeviceGetHandleByIndex_v2) device = nullptr;
    decltype(&nvml::nvmlDeviceGetUUID) uuid = nullptr;
    decltype(&nvml::nvmlDeviceGetName) name = nullptr;
    decltype(&nvml::nvmlDeviceGetMemoryInfo) memory = nullptr;
    decltype(&nvml::nvmlDeviceGetUtilizationRates) utilization = nullptr;
    decltype(&nvml::nvmlDeviceGetTemperature) temperature = nullptr;
    decltype(&nvml::nvmlDeviceGetPowerUsage) power = nullptr;
};

Functions functions_of(void* library, const std::string& name) {
    Functions functions;
    const auto find = [&]<typename Function>(Function& function, const char* symbol) {
        function = reinterpret_cast<Function>(::dlsym(library, symbol));
        if (function != nullptr) return;
        throw Error(ErrorKind::unavailable, "using NVIDIA's {}: it has no {}", name, symbol);
    };
    find(functions.init, "nvmlInit_v2");
    find(functions.shutdown, "nvmlShutdown");
    find(functions.error_string, "nvmlErrorString");
    find(functions.count, "nvmlDeviceGetCount_v2");
    find(functions.device, "nvmlDeviceGetHandleByIndex_v2");
    find(functions.uuid, "nvmlDeviceGetUUID");
    find(functions.name, "nvmlDeviceGetName");
    find(functions.memory, "nvmlDeviceGetMemoryInfo");
    find(functions.utilization, "nvmlDeviceGetUtilizationRates");
    find(functions.temperature, "nvmlDeviceGetTemperature");
    find(functions.power, "nvmlDeviceGetPowerUsage");
    return functions;
}

// dlopen(3) has no error codes. A library that this one needs and that is not there begins the
// text with its own name.
bool is_absence(std::string_view text, const std::string& name) {
    return text.starts_with(name + ": cannot open shared object file: No such file");
}

// Whatever the reason why a card does not tell: it may not know, or not tell everybody.
template <typename Value>
std::optional<Value> told(std::invocable<Value*> auto ask) {
    Value value{};
    if (ask(&value) != nvml::kSuccess) return std::nullopt;
    return value;
}

using Text = std::array<char, nvml::kTextSize>;

std::string to_string(const Text& text) {
    return {text.data(), ::strnlen(text.data(), text.size())};
}

std::int64_t bytes(unsigned long long count) {
    return static_cast<std::int64_t>(count);
}

}  // namespace

struct Nvidia::Library {
    struct Card {
        nvml::Device* device = nullptr;
        std::string uuid;
        std::string name;
    };

    Library(Handle opened, const std::string& name)
        : handle(std::move(opened)), call(functions_of(handle.get(), name)) {}
    ~Library() {
        if (started) call.shutdown();
    }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    std::string text_of(nvml::Result result) const {
        const auto* text = call.error_string(result);
        return fmt::format("{} (NVML error {})", text == nullptr ? "unknown" : text, result);
    }

    void check(nvml::Result result, std::string_view doing) const {
        if (result == nvml::kSuccess) return;
        throw Error(ErrorKind::unavailable, "{}: {}", doing, text_of(result));
    }

    std::vector<Card> cards() {
        if (!started) check(call.init(), "starting NVIDIA's NVML");
        started = true;
        unsigned count = 0;
        check(call.count(&count), "counting NVIDIA's GPUs");
        std::vector<Card> cards;
        for (unsigned index = 0; index < count; ++index) {
            Card card;
            Text text{};
            auto result = call.device(index, &card.device);
            if (result == nvml::kSuccess) {
                result = call.uuid(card.device, text.data(), nvml::kTextSize);
            }
            if (std::exchange(results[index], result) != result && result != nvml::kSuccess) {
                log::warning("GPU {} of this host is left out: {}", index, text_of(result));
            }
            if (result != nvml::kSuccess) continue;
            card.uuid = to_string(text);
            const auto name = told<Text>(
                [&](Text* to) { return call.name(card.device, to->data(), nvml::kTextSize); });
            if (name) card.name = to_string(*name);
            cards.push_back(std::move(card));
        }
        return cards;
    }

    std::optional<nvml::Memory> memory_of(const Card& card) const {
        return told<nvml::Memory>([&](auto* to) { return call.memory(card.device, to); });
    }

    Handle handle;
    Functions call;
    bool started = false;
    std::map<unsigned, nvml::Result> results;  // of looking a card up, by its index: the last
};

std::optional<Nvidia> Nvidia::open(const std::filesystem::path& library) {
    Handle handle(::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (!handle) {
        const auto* error = ::dlerror();
        const std::string text = error == nullptr ? "unknown error" : error;
        if (is_absence(text, library.native())) return std::nullopt;
        throw Error(ErrorKind::unavailable, "opening NVIDIA's {}: {}", library.native(), text);
    }
    return Nvidia(std::make_unique<Library>(std::move(handle), library.native()));
}

Nvidia::Nvidia(std::unique_ptr<Library> library) : library_(std::move(library)) {}
Nvidia::Nvidia(Nvidia&& other) noexcept = default;
Nvidia& Nvidia::operator=(Nvidia&& other) noexcept = default;
Nvidia::~Nvidia() = default;

std::vector<protocol::Gpu> Nvidia::gpus() {
    std::vector<protocol::Gpu> gpus;
    for (auto& card : library_->cards()) {
        const auto memory = library_->memory_of(card);
        gpus.push_back({.uuid = std::move(card.uuid),
                        .name = std::move(card.name),
                        .memory_total = memory ? bytes(memory->total) : 0});
    }
    return gpus;
}

std::vector<protocol::GpuMetrics> Nvidia::sample() {
    std::vector<protocol::GpuMetrics> samples;
    const auto& call = library_->call;
    for (auto& card : library_->cards()) {
        auto* const device = card.device;
        auto& gpu = samples.emplace_back();
        gpu.at = now();
        if (const auto memory = library_->memory_of(card)) {
            gpu.memory_total = bytes(memory->total);
            gpu.memory_free = bytes(memory->free);
            gpu.memory_used = bytes(memory->used);
        }
        if (const auto busy =
                told<nvml::Utilization>([&](auto* to) { return call.utilization(device, to); })) {
            gpu.utilization_percent = busy->gpu;
        }
        if (const auto celsius = told<unsigned>(
                [&](auto* to) { return call.temperature(device, nvml::kTemperatureGpu, to); })) {
            gpu.temperature_c = *celsius;
        }
        if (const auto milliwatts =
                told<unsigned>([&](auto* to) { return call.power(device, to); })) {
            gpu.power_w = *milliwatts / 1000.0;
        }
        gpu.uuid = std::move(card.uuid);
        gpu.name = std::move(card.name);
    }
    return samples;
}

}  // namespace trailer::metrics
