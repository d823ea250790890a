// Stands for libnvidia-ml.so.1 in tests: two cards, of which the second tells no power. fake_nvml.h
// says how it is made to fail.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>

#include "metrics/nvml.h"

namespace trailer::metrics::nvml {

struct Device {
    const char* uuid;
    const char* name;
    Memory memory;
    Utilization utilization;
    unsigned celsius;
    unsigned milliwatts;  // 0: it can't tell
};

namespace {

constexpr unsigned kCards = 2;
constexpr unsigned kNone = kCards;

Device cards[kCards] = {{"GPU-11111111-2222-3333-4444-555555555555",
                         "NVIDIA Fake 80GB",
                         {.total = 85'899'345'920, .free = 64'424'509'440, .used = 21'474'836'480},
                         {.gpu = 37, .memory = 12},
                         41,
                         123'456},
                        {"GPU-66666666-7777-8888-9999-000000000000",
                         "NVIDIA Fake 24GB",
                         {.total = 25'769'803'776, .free = 25'769'803'776, .used = 0},
                         {.gpu = 0, .memory = 0},
                         30,
                         0}};

std::atomic<int> sessions = 0;
std::atomic<const char*> failing = nullptr;
std::atomic<Result> failure = kSuccess;
std::atomic<unsigned> lost = kNone;
std::atomic<unsigned> wait_ms = 0;

Result outcome(const char* function) {
    const char* fails = failing;
    if (fails != nullptr && std::strcmp(fails, function) == 0) return failure;
    return sessions > 0 ? kSuccess : 1;  // uninitialized
}

template <typename Value>
Result give(const char* function, const Value& value, Value* to) {
    const auto result = outcome(function);
    if (result == kSuccess) *to = value;
    return result;
}

Result give_text(const char* function, const char* text, char* to, unsigned size) {
    const auto result = outcome(function);
    if (result == kSuccess) std::snprintf(to, size, "%s", text);
    return result;
}

}  // namespace

extern "C" {

Result nvmlInit_v2() {
    ++sessions;
    const auto result = outcome(__func__);
    if (result != kSuccess) --sessions;
    return result;
}

Result nvmlShutdown() {
    --sessions;
    return kSuccess;
}

const char* nvmlErrorString(Result result) {
    return result == kDriverNotLoaded ? "Driver Not Loaded" : "Fake Error";
}

Result nvmlDeviceGetCount_v2(unsigned* count) {
    return give(__func__, kCards, count);
}

Result nvmlDeviceGetHandleByIndex_v2(unsigned index, Device** device) {
    if (index == lost) return kGpuIsLost;
    return give(__func__, &cards[index], device);
}

Result nvmlDeviceGetUUID(Device* device, char* text, unsigned size) {
    return give_text(__func__, device->uuid, text, size);
}

Result nvmlDeviceGetName(Device* device, char* text, unsigned size) {
    return give_text(__func__, device->name, text, size);
}

Result nvmlDeviceGetMemoryInfo(Device* device, Memory* memory) {
    return give(__func__, device->memory, memory);
}

Result nvmlDeviceGetUtilizationRates(Device* device, Utilization* utilization) {
    ::usleep(wait_ms * 1000);
    return give(__func__, device->utilization, utilization);
}

Result nvmlDeviceGetTemperature(Device* device, int sensor, unsigned* celsius) {
    if (sensor != kTemperatureGpu) return kNotSupported;
    return give(__func__, device->celsius, celsius);
}

Result nvmlDeviceGetPowerUsage(Device* device, unsigned* milliwatts) {
    if (device->milliwatts == 0) return kNotSupported;
    return give(__func__, device->milliwatts, milliwatts);
}

// fake_nvml.h calls these.

void fake_nvml_fail(const char* function, Result result) {
    failure = result;
    failing = function;
}

void fake_nvml_lose(unsigned index) {
    lost = index;
}

void fake_nvml_wait(unsigned ms) {
    wait_ms = ms;
}

int fake_nvml_sessions() {
    return sessions;
}
}

}  // namespace trailer::metrics::nvml
