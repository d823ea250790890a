// Random values, digests, keys and password hashes: a thin, typed layer over libsodium. No
// cryptography of our own. Every function may be called from any thread; argon2id is meant to be
// slow (tens of milliseconds, 64 MiB): call it on a blocking pool.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

namespace trailer {

// Bytes in a std::string; the name says that they are not text.
using Bytes = std::string;

Bytes random_bytes(std::size_t count);

// `count` random bytes as base64url without padding (RFC 4648, section 5): 32 bytes give 43
// letters.
std::string random_token(std::size_t count = 32);

Bytes sha256(std::string_view data);
Bytes hmac_sha256(std::string_view key, std::string_view message);  // RFC 2104

std::string to_hex(std::string_view bytes);        // lower case
std::string to_base64(std::string_view bytes);     // RFC 4648 section 4, with padding
std::string to_base64url(std::string_view bytes);  // section 5, without padding
// Both throw InvalidInput with an empty pointer.
Bytes from_base64(std::string_view text);
Bytes from_base64url(std::string_view text);

// Compares without telling by its time where the two differ (their lengths are no secret).
bool equal_in_constant_time(std::string_view a, std::string_view b);

// argon2id in its string form ("$argon2id$v=19$m=…"), with libsodium's interactive limits.
std::string hash_password(std::string_view password);
bool verify_password(std::string_view hash, std::string_view password);

// An Ed25519 key pair (RFC 8032). The private half never leaves the object but by save().
class SigningKey {
  public:
    static SigningKey generate();

    // Reads the key from `file`, or makes one and writes it there (0600, atomically). Refuses a
    // file that others can read, or that holds something else.
    static SigningKey load_or_create(const std::filesystem::path& file);

    std::string public_key() const;                    // base64url, 43 letters
    std::string sign(std::string_view message) const;  // base64url, 86 letters

  private:
    SigningKey() = default;
    std::array<unsigned char, 64> secret_{};
    std::array<unsigned char, 32> public_{};
};

// False for a wrong signature and for anything malformed.
bool verify_signature(std::string_view public_key, std::string_view message,
                      std::string_view signature);

// How people compare keys: "SHA256:" and base64 without padding, as OpenSSH prints them.
std::string key_fingerprint(std::string_view public_key);

}  // namespace trailer
