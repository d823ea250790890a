#include "client/plan_text.h"

#include "base/time.h"

namespace trailer::client {
namespace {

// "image: a -> b, env/A: none -> another value": what was in red, what is to be in green.
std::string reason_text(const protocol::PlanStep& step, const Palette& palette) {
    if (step.changes.empty()) return palette.paint(Style::dim, one_line(step.reason));
    std::string text;
    for (const auto& change : step.changes) {
        if (!text.empty()) text += ", ";
        text += fmt::format("{}: {} -> {}", one_line(change.field),
                            palette.paint(Style::bad, one_line(change.from)),
                            palette.paint(Style::good, one_line(change.to)));
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
    if (with_reason) line += " (" + reason_text(step, palette) + ")";
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
