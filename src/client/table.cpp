#include "client/table.h"

#include <algorithm>

namespace trailer::client {
namespace {

constexpr std::size_t kGap = 3;
// An empty cell would shift the fields of whoever splits lines at blanks.
constexpr std::string_view kNothing = "-";

std::string_view shown(const Cell& cell) {
    return cell.text.empty() ? kNothing : std::string_view(cell.text);
}

}  // namespace

Table::Table(std::vector<std::string> titles) : titles_(std::move(titles)) {
    for (const auto& title : titles_) widths_.push_back(width_of(title));
}

std::string Table::header(const Palette& palette) const {
    std::string line;
    for (std::size_t i = 0; i < titles_.size(); ++i) {
        line += palette.paint(Style::dim, titles_[i]);
        if (i + 1 < titles_.size()) line.append(widths_[i] - width_of(titles_[i]) + kGap, ' ');
    }
    return line + "\n";
}

void Table::fit(const std::vector<Row>& rows) {
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size() && i < widths_.size(); ++i) {
            widths_[i] = std::max(widths_[i], width_of(one_line(shown(row[i]))));
        }
    }
}

std::string Table::row(const Row& row, const Palette& palette) {
    fit({row});
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
        const auto text = one_line(shown(row[i]));
        line += palette.paint(row[i].style, text);
        if (i + 1 < row.size()) line.append(widths_[i] - width_of(text) + kGap, ' ');
    }
    return line + "\n";
}

std::string Table::render(const std::vector<Row>& rows, const Palette& palette) {
    fit(rows);
    auto text = header(palette);
    for (const auto& each : rows) text += row(each, palette);
    return text;
}

}  // namespace trailer::client
