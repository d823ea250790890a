#include "base/crypto.h"

#include <sodium.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"

namespace trailer {
namespace {

// libsodium must be initialised before its random functions and its choice of implementations.
const bool initialised = [] {
    if (sodium_init() < 0) throw std::runtime_error("libsodium could not be initialised");
    return true;
}();

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

std::string encode(std::string_view data, int variant) {
    std::string text(sodium_base64_encoded_len(data.size(), variant), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes(data), data.size(), variant);
    text.pop_back();  // the terminating zero
    return text;
}

Bytes decode(std::string_view text, int variant, const char* name) {
    Bytes data(text.size() / 4 * 3 + 3, '\0');
    std::size_t size = 0;
    const char* end = nullptr;
    if (sodium_base642bin(bytes(data), data.size(), text.data(), text.size(), nullptr, &size, &end,
                          variant) != 0 ||
        end != text.data() + text.size()) {
        throw InvalidInput("", fmt::format("expected {}", name));
    }
    data.resize(size);
    return data;
}

}  // namespace

Bytes random_bytes(std::size_t count) {
    Bytes data(count, '\0');
    randombytes_buf(data.data(), data.size());
    return data;
}

std::string random_token(std::size_t count) {
    return to_base64url(random_bytes(count));
}

Bytes sha256(std::string_view data) {
    Bytes digest(crypto_hash_sha256_BYTES, '\0');
    crypto_hash_sha256(bytes(digest), bytes(data), data.size());
    return digest;
}

Bytes hmac_sha256(std::string_view key, std::string_view message) {
    crypto_auth_hmacsha256_state state;
    Bytes digest(crypto_auth_hmacsha256_BYTES, '\0');
    crypto_auth_hmacsha256_init(&state, bytes(key), key.size());
    crypto_auth_hmacsha256_update(&state, bytes(message), message.size());
    crypto_auth_hmacsha256_final(&state, bytes(digest));
    return digest;
}

std::string to_hex(std::string_view data) {
    std::string text(data.size() * 2 + 1, '\0');
    sodium_bin2hex(text.data(), text.size(), bytes(data), data.size());
    text.pop_back();
    return text;
}

std::string to_base64(std::string_view data) {
    return encode(data, sodium_base64_VARIANT_ORIGINAL);
}

std::string to_base64url(std::string_view data) {
    return encode(data, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

Bytes from_base64(std::string_view text) {
    return decode(text, sodium_base64_VARIANT_ORIGINAL, "base64");
}

Bytes from_base64url(std::string_view text) {
    return decode(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING, "base64url without padding");
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hash_password(std::string_view password) {
    std::string hash(crypto_pwhash_STRBYTES, '\0');
    if (crypto_pwhash_str_alg(
            hash.data(), password.data(), password.size(), crypto_pwhash_OPSLIMIT_INTERACTIVE,
            crypto_pwhash_MEMLIMIT_INTERACTIVE, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        throw Error(ErrorKind::unavailable, "hashing a password: not enough memory (64 MiB)");
    }
    hash.resize(hash.find('\0'));
    return hash;
}

bool verify_password(std::string_view hash, std::string_view password) {
    return crypto_pwhash_str_verify(std::string(hash).c_str(), password.data(), password.size()) ==
           0;
}

SigningKey SigningKey::generate() {
    SigningKey key;
    crypto_sign_keypair(key.public_.data(), key.secret_.data());
    return key;
}

SigningKey SigningKey::load_or_create(const std::filesystem::path& file) {
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0) {
        auto key = generate();
        const Bytes seed(reinterpret_cast<const char*>(key.secret_.data()), crypto_sign_SEEDBYTES);
        write_file_atomically(file, to_base64url(seed) + "\n", 0600);
        return key;
    }
    if ((status.st_mode & 077) != 0) {
        throw Error(
            ErrorKind::forbidden,
            "{}: the key can be read by others (mode {:o}); make it private with chmod 600, "
            "or delete it and have the host approved again",
            file.string(), status.st_mode & 0777);
    }
    auto text = read_file(file);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    Bytes seed;
    try {
        seed = from_base64url(text);
    } catch (const InvalidInput&) {
        seed.clear();
    }
    if (seed.size() != crypto_sign_SEEDBYTES) {
        throw Error(
            ErrorKind::invalid,
            "{}: not an agent key (expected 43 letters of base64url); restore it, or delete "
            "it and have the host approved again",
            file.string());
    }
    SigningKey key;
    crypto_sign_seed_keypair(key.public_.data(), key.secret_.data(), bytes(seed));
    return key;
}

std::string SigningKey::public_key() const {
    return to_base64url({reinterpret_cast<const char*>(public_.data()), public_.size()});
}

std::string SigningKey::sign(std::string_view message) const {
    Bytes signature(crypto_sign_BYTES, '\0');
    crypto_sign_detached(bytes(signature), nullptr, bytes(message), message.size(), secret_.data());
    return to_base64url(signature);
}

bool verify_signature(std::string_view public_key, std::string_view message,
                      std::string_view signature) {
    try {
        const auto key = from_base64url(public_key);
        const auto raw = from_base64url(signature);
        return key.size() == crypto_sign_PUBLICKEYBYTES && raw.size() == crypto_sign_BYTES &&
               crypto_sign_verify_detached(bytes(raw), bytes(message), message.size(),
                                           bytes(key)) == 0;
    } catch (const InvalidInput&) {
        return false;
    }
}

std::string key_fingerprint(std::string_view public_key) {
    auto text = to_base64(sha256(from_base64url(public_key)));
    while (!text.empty() && text.back() == '=') text.pop_back();
    return "SHA256:" + text;
}

}  // namespace trailer
