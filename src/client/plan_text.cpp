#include "client/plan_text.h"

#include "base/time.h"

namespace trailer::client {
namespace {

constexpr std::string_view kBetween = ", ";
constexpr std::string_view kBecomes = " -> ";

// "image: a -> b, env/A: none -> another value": what was in red, what is to be in green.
std::string reason_text(std::string_view reason, const Palette& palette) {
    std::string text;
    while (!reason.empty()) {
        const auto end = std::min(reason.find(kBetween), reason.size());
        const auto change = reason.substr(0, end);
        reason.remove_prefix(std::min(end + kBetween.size(), reason.size()));
        const auto field = change.find(": ");
        const auto becomes = change.find(kBecomes);
        if (!text.empty()) text += kBetween;
        if (field == change.npos || becomes == change.npos || becomes < field + 2) {
            text += palette.paint(Style::dim, change);
            continue;
        }
        text += fmt::format(
            "{} {}{}{}", change.substr(0, field + 1),
            palette.paint(Style::bad, change.substr(field + 2, becomes - field - 2)), kBecomes,
            palette.paint(Style::good, change.substr(becomes + kBecomes.size())));
    }
    return text;
}

std::string line_of(const protocol::PlanStep& step, bool with_reason, const Palette& palette) {
    std::string sign = "~";
    auto style = Style::busy;
    if (step.action.starts_with("create") || step.action.starts_with("build") ||
        step.action.starts_with("pull")) {
        sign = "+";
        style = Style::good;
    } else if (step.action.starts_with("remove") || step.action.starts_with("disconnect")) {
        sign = "-";
        style = Style::bad;
    }
    auto line = fmt::format("  {} {} {}", palette.paint(style, sign), one_line(step.action),
                            one_line(step.name));
    if (step.replaces) line += palette.paint(Style::strong, " [replaces]");
    if (with_reason) line += " (" + reason_text(one_line(step.reason), palette) + ")";
    return line + "\n";
}

// The new container goes by another name until it takes its place.
std::string_view of_whom(const protocol::PlanStep& step) {
    std::string_view name = step.name;
    if (name.ends_with(".next")) name.remove_suffix(5);
    return name;
}

}  // namespace

std::string plan_text(const protocol::PlanOfHost& host, const Palette& palette) {
    const auto& plan = host.plan;
    auto text = palette.paint(Style::strong, "on " + one_line(host.host)) + "\n";
    if (!plan.fault.empty()) return text + "  no plan: " + one_line(plan.fault) + "\n";
    const protocol::PlanStep* before = nullptr;
    for (const auto& step : plan.steps) {
        const bool told = before != nullptr && before->replaces && step.replaces &&
                          of_whom(*before) == of_whom(step) && before->reason == step.reason;
        text += line_of(step, !told, palette);
        before = &step;
    }
    for (const auto& each : plan.obstacles) {
        text += fmt::format("  {} {}/{}: {}\n", palette.paint(Style::bad, "!"),
                            protocol::noun(each.kind), one_line(each.name), one_line(each.text));
    }
    for (const auto& each : plan.leftovers) {
        text += fmt::format("  {} {} {} belongs to nothing known: removed at {}\n",
                            palette.paint(Style::dim, "-"), protocol::noun(each.kind),
                            one_line(each.name), format_rfc3339(each.removal));
    }
    if (plan.steps.empty() && plan.obstacles.empty()) text += "  nothing to do\n";
    return text;
}

}  // namespace trailer::client
