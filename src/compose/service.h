// One service: a workspace.
#pragma once

#include <map>
#include <string>

#include "compose/build.h"
#include "compose/document.h"
#include "compose/interpolate.h"
#include "compose/mounts.h"
#include "compose/networks.h"

namespace trailer::compose {

// What a service stands in. All of it outlives the reading.
struct ServiceSurroundings {
    std::string project;
    MountSurroundings paths;
    const Variables& variables;
    const std::map<std::string, std::string>& workspaces;  // by service; those that take part
    const std::map<std::string, std::string>& resting;     // the others, by their profiles' lack
    Shared& networks;
    Shared& volumes;
    Images& images;
};

Document read_service(const std::string& name, const Node& node,
                      const ServiceSurroundings& surroundings, Findings& findings);

}  // namespace trailer::compose
