#include "protocol/agent.h"

namespace trailer::protocol {

std::string signed_text(std::string_view challenge, std::string_view registration_token) {
    return fmt::format("trailer agent registration v1\n{}\n{}", challenge, registration_token);
}

bool update(Condition& condition, Health status, std::string reason) {
    if (condition.status == status && condition.reason == reason) return false;
    if (condition.status != status || condition.since == Timestamp{}) condition.since = now();
    condition.status = status;
    condition.reason = std::move(reason);
    return true;
}

}  // namespace trailer::protocol
