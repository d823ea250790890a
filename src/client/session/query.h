// The query of a session's address: "exec?cmd=ls&cmd=-l&tty=true".
#pragma once

#include <string>
#include <string_view>

#include "protocol/session.h"

namespace trailer::client {

// What is empty, false or zero is left out.
std::string exec_address(const protocol::ExecQuery& query);
std::string logs_address(const protocol::LogQuery& query);
std::string attach_address(const protocol::TerminalSize& size);

}  // namespace trailer::client
