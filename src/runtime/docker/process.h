// Exec, attach and logs of a container, over the engine's hijacked connections.
#pragma once

#include "runtime/docker/engine_api.h"
#include "runtime/runtime.h"

namespace trailer::runtime::docker {

// `api` outlives the streams.
Task<std::unique_ptr<ProcessStream>> exec_process(EngineApi& api, ExecSpec spec);
Task<std::unique_ptr<ProcessStream>> attach_process(EngineApi& api, std::string container_id);
Task<std::unique_ptr<LogStream>> read_logs(EngineApi& api, LogSpec spec);

}  // namespace trailer::runtime::docker
