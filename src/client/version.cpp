#include "client/version.h"

#include <boost/json.hpp>

#include "client/build_info.h"
#include "client/commands.h"
#include "client/failure.h"
#include "client/terminal.h"
#include "wire/json.h"
#include "wire/yaml.h"

namespace trailer::client {

std::string_view version() {
    return TRAILER_VERSION;
}
std::string_view commit() {
    return TRAILER_COMMIT;
}
std::string_view compiler() {
    return TRAILER_COMPILER;
}

int show_version(Format format) {
    const boost::json::object facts{{"version", version()},
                                    {"commit", commit()},
                                    {"compiler", compiler()},
                                    {"api", kApiVersion}};
    switch (format) {
        case Format::json:
            print(stdout, wire::pretty(facts) + "\n");
            break;
        case Format::yaml:
            print(stdout, wire::to_yaml(facts));
            break;
        case Format::name:
            print(stdout, fmt::format("{}\n", version()));
            break;
        case Format::table:
        case Format::wide:
            print(stdout,
                  fmt::format("trailer {}\n  commit    {}\n  compiler  {}\n  api       {}\n",
                              version(), commit().empty() ? "unknown" : commit(), compiler(),
                              kApiVersion));
            break;
    }
    return kDone;
}

}  // namespace trailer::client
