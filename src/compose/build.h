// A service's `build`: an Image that the host builds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compose/document.h"
#include "compose/findings.h"
#include "compose/interpolate.h"

namespace trailer::compose {

// The images of a project. Services that build the same under one reference share it.
class Images {
  public:
    // `directory`: of the project. `variables`: what a build argument without a value takes.
    Images(std::string directory, const Variables& variables, Findings& findings)
        : directory_(std::move(directory)), variables_(variables), findings_(findings) {}

    // The Image's name, or nothing where it can't be built.
    std::optional<std::string> add(const Node& build, const std::string& name,
                                   const std::string& reference);

    const std::vector<Document>& documents() const { return documents_; }

  private:
    protocol::ImageSpec read(const Node& build, Places& places);
    void read_dockerfile(const Node& place, const std::string& file, protocol::ImageSpec& spec);
    void refuse_context(const Node& place, const std::string& file, const std::string& text);

    std::string directory_;
    const Variables& variables_;
    Findings& findings_;
    std::vector<Document> documents_;
};

}  // namespace trailer::compose
