#include "protocol/session.h"

#include "base/error.h"

namespace trailer::protocol {

std::string session_message(Channel channel, std::string_view data) {
    std::string message;
    message.reserve(data.size() + 1);
    message += static_cast<char>(channel);
    message += data;
    return message;
}

Channel channel_of(std::string_view message) {
    if (message.empty()) throw InvalidInput("", "a session's message has at least its channel");
    const auto byte = static_cast<unsigned char>(message.front());
    const auto channel = static_cast<Channel>(byte);
    switch (channel) {
        case Channel::input:
        case Channel::output:
        case Channel::errors:
        case Channel::end:
        case Channel::resize:
        case Channel::notice:
        case Channel::ack:
        case Channel::close:
            return channel;
    }
    throw InvalidInput("", fmt::format("{} is no channel of a session", byte));
}

std::string ack_message(std::uint64_t count) {
    std::string message(1, static_cast<char>(Channel::ack));
    for (int shift = 56; shift >= 0; shift -= 8) {
        message += static_cast<char>((count >> static_cast<unsigned>(shift)) & 0xFFU);
    }
    return message;
}

std::uint64_t ack_count(std::string_view message) {
    if (message.size() != 9) throw InvalidInput("", "an acknowledgement has nine bytes");
    std::uint64_t count = 0;
    for (const char byte : data_of(message)) count = count << 8U | static_cast<unsigned char>(byte);
    return count;
}

std::string end_message(const SessionEnd& end) {
    json::object object;
    if (end.problem) object = wire::to_json(*end.problem).as_object();
    if (end.exit_code) object["exit_code"] = *end.exit_code;
    return session_message(Channel::end, json::serialize(object));
}

SessionEnd read_end(std::string_view data) {
    SessionEnd end;
    if (data.empty()) return end;
    const auto value = wire::parse(data);
    const auto* object = value.if_object();
    if (object == nullptr) throw InvalidInput("", "the end of a session is an object");
    if (const auto* code = object->if_contains("exit_code")) {
        if (!code->is_int64()) throw InvalidInput("/exit_code", "expected a whole number");
        end.exit_code = static_cast<int>(code->as_int64());
    }
    if (object->contains("status")) end.problem = wire::from_json<Problem>(value);
    return end;
}

void Outbox::push(std::string message) {
    bytes_ += message.size();
    messages_.push_back(std::make_shared<const std::string>(std::move(message)));
}

void Outbox::acknowledge(std::uint64_t count) {
    if (count > end()) {
        throw InvalidInput("",
                           fmt::format("{} messages are acknowledged, {} were sent", count, end()));
    }
    for (; begin_ < count; ++begin_) {
        bytes_ -= messages_.front()->size();
        messages_.pop_front();
    }
}

}  // namespace trailer::protocol
