#include "client/password.h"

#include <iostream>

#include "base/file.h"
#include "client/failure.h"
#include "client/terminal.h"

namespace trailer::client {
namespace {

// Editors and `echo` end a file with a line's end.
std::string first_line(std::string text) {
    text.erase(std::min(text.find_first_of("\r\n"), text.size()));
    return text;
}

}  // namespace

std::string read_password(const std::string& file, const std::string& question) {
    std::string password;
    if (!file.empty() && file != "-") {
        password = first_line(read_file(file));
    } else if (file.empty() && can_ask()) {
        password = ask_hidden(question);
    } else {
        std::getline(std::cin, password);
        password = first_line(std::move(password));
    }
    if (password.empty()) {
        throw CommandFailure("the password is empty",
                             "give it on the terminal, on standard input, or by --password-file");
    }
    return password;
}

}  // namespace trailer::client
