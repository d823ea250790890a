// What a person is told of a Compose file, each with its place.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "compose/tree.h"

namespace trailer::compose {

struct Findings {
    std::vector<std::string> faults;       // what is wrong: nothing can be applied
    std::vector<std::string> unsupported;  // what Trailer does not do: left out only if that is
                                           // asked for
    std::vector<std::string> warnings;     // what may not be as meant

    void fault(const Node& node, std::string_view what) { faults.push_back(line(node, what)); }
    void leave_out(const Node& node, std::string_view what) {
        unsupported.push_back(line(node, what));
    }
    void warn(const Node& node, std::string_view what) { warnings.push_back(line(node, what)); }

  private:
    // "compose.yaml:12:5: services.web.image: expected text"
    static std::string line(const Node& node, std::string_view what) {
        return fmt::format("{}: {}{}{}", node.place.text(), node.path,
                           node.path.empty() ? "" : ": ", what);
    }
};

}  // namespace trailer::compose
