// The keys that leave a session without ending it: "ctrl-p,ctrl-q".
#pragma once

#include <string>
#include <string_view>

namespace trailer::client {

class DetachKeys {
  public:
    static constexpr const char* kDefault = "ctrl-p,ctrl-q";

    // Keys with commas between them: one character, or ctrl- and one of a to z, @ [ \ ] ^ _. Empty:
    // there are none. Throws UsageError.
    explicit DetachKeys(std::string_view text);

    struct Typed {
        std::string pass;  // what is for the session
        bool detach = false;
    };
    // The first of the keys are held back until it is clear that the others don't follow.
    Typed feed(std::string_view data);

  private:
    std::string keys_;
    std::size_t matched_ = 0;
};

}  // namespace trailer::client
