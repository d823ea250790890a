#include "agent/identity.h"

#include <algorithm>
#include <array>

#include "agent/own_container.h"
#include "base/error.h"
#include "base/file.h"

namespace trailer::agent {
namespace {

// Drawn at random for Trailer, as `systemd-id128 new` would. Never to be changed: every host's
// token depends on it.
constexpr std::array<unsigned char, 16> kApplicationId{
    0x8a, 0xcb, 0xf0, 0x2b, 0xb3, 0x68, 0xa1, 0xfa, 0x05, 0xa6, 0xf3, 0xf2, 0xaf, 0x54, 0x57, 0x9b};

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

// machine-id(5): 32 hex letters and a line's end. The ID itself is never shown in an error.
Bytes parse_machine_id(std::string_view text, const std::filesystem::path& file) {
    const auto refuse = [&](std::string_view why) {
        throw Error(ErrorKind::invalid,
                    "{}: {}, so this host can't be told from others; make a machine ID with "
                    "`systemd-machine-id-setup` (or `dbus-uuidgen --ensure`) and start again",
                    file.string(), why);
    };
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    if (text.empty()) refuse("the file is empty");
    if (text == "uninitialized") refuse("the machine ID is not initialized yet");
    if (text.size() != 32) refuse("not a machine ID (32 hexadecimal letters)");
    Bytes id;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const auto high = hex_digit(text[i]);
        const auto low = hex_digit(text[i + 1]);
        if (!high || !low) refuse("not a machine ID (32 hexadecimal letters)");
        id.push_back(static_cast<char>(*high << 4 | *low));
    }
    if (id == Bytes(16, '\0')) refuse("the machine ID is all zeros");
    return id;
}

}  // namespace

std::optional<Bytes> machine_id(const std::filesystem::path& root) {
    const bool contained = in_container(root);
    for (const auto* name : {"etc/machine-id", "var/lib/dbus/machine-id"}) {
        const auto file = root / name;
        std::error_code missing;
        if (!std::filesystem::exists(file, missing)) continue;
        if (contained && !is_mount_point(std::filesystem::path("/") / name, root)) continue;
        return parse_machine_id(read_file(file), file);
    }
    return std::nullopt;
}

std::string registration_token(std::string_view secret) {
    const std::string_view application(reinterpret_cast<const char*>(kApplicationId.data()),
                                       kApplicationId.size());
    auto id = hmac_sha256(secret, application).substr(0, 16);
    // Version 4 and variant 1 of RFC 9562, as systemd sets them.
    id[6] = static_cast<char>((id[6] & 0x0f) | 0x40);
    id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
    return to_hex(id);
}

}  // namespace trailer::agent
