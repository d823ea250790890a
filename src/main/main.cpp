#include <exception>

#include "client/command_line.h"
#include "client/failure.h"
#include "main/roles.h"

int main(int argc, char** argv) {
    try {
        return trailer::client::run_command_line(argc, argv, trailer::add_roles);
    } catch (const std::exception& e) {
        return trailer::client::report_failure("", e);
    }
}
