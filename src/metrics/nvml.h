// What we call of NVML, declared by ourselves after the text of NVIDIA's "NVML API Reference Guide"
// (https://docs.nvidia.com/deploy/nvml-api/). Never linked: nvidia.cpp finds the functions in the
// library that comes with the driver, and fake_nvml/ defines them for tests.
//
// The interface is C's, and only grows: a function's later form has another name (_v2).
#pragma once

namespace trailer::metrics::nvml {

struct Device;       // nvmlDevice_t points to it; the library's
using Result = int;  // nvmlReturn_t, an enumeration of C

inline constexpr Result kSuccess = 0;
inline constexpr Result kNotSupported = 3;
inline constexpr Result kDriverNotLoaded = 9;
inline constexpr Result kGpuIsLost = 15;

// The longest UUID and the longest name with their NUL
// (NVML_DEVICE_UUID_V2_BUFFER_SIZE, NVML_DEVICE_NAME_V2_BUFFER_SIZE).
inline constexpr unsigned kTextSize = 96;

inline constexpr int kTemperatureGpu = 0;  // NVML_TEMPERATURE_GPU: the sensor on the die

// nvmlMemory_t, in bytes. `used` has what the driver keeps for itself.
struct Memory {
    unsigned long long total;
    unsigned long long free;
    unsigned long long used;
};

// nvmlUtilization_t: percent of the last sample period, up to a second, in which a kernel ran, and
// in which memory was read or written.
struct Utilization {
    unsigned gpu;
    unsigned memory;
};

extern "C" {
Result nvmlInit_v2();
Result nvmlShutdown();
const char* nvmlErrorString(Result result);
Result nvmlDeviceGetCount_v2(unsigned* count);
Result nvmlDeviceGetHandleByIndex_v2(unsigned index, Device** device);
Result nvmlDeviceGetUUID(Device* device, char* text, unsigned size);
Result nvmlDeviceGetName(Device* device, char* text, unsigned size);
Result nvmlDeviceGetMemoryInfo(Device* device, Memory* memory);
Result nvmlDeviceGetUtilizationRates(Device* device, Utilization* utilization);
Result nvmlDeviceGetTemperature(Device* device, int sensor, unsigned* celsius);
Result nvmlDeviceGetPowerUsage(Device* device, unsigned* milliwatts);
}

}  // namespace trailer::metrics::nvml
