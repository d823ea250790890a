// What a service may use: `deploy`, and the older members beside it.
#pragma once

#include "compose/fields.h"
#include "protocol/resources.h"

namespace trailer::compose {

// Takes cpus, mem_limit, pids_limit, shm_size, gpus, scale, restart and deploy.
struct Limits {
    protocol::Resources resources;
    protocol::RestartPolicy restart = protocol::RestartPolicy::no;
    std::map<std::string, const Node*> nodes;  // by the member of `resources`: "cpus"
};
Limits read_limits(Fields& service, Findings& findings);

}  // namespace trailer::compose
