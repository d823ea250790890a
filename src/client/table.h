// Aligned columns of text, as `get` shows them.
#pragma once

#include <string>
#include <vector>

#include "client/terminal.h"

namespace trailer::client {

struct Cell {
    std::string text;
    Style style = Style::plain;

    bool operator==(const Cell&) const = default;
};
using Row = std::vector<Cell>;

// Remembers how wide its columns have become, so that rows that are printed later (a watch) stand
// under those before.
class Table {
  public:
    explicit Table(std::vector<std::string> titles);

    // The titles' line; a table that is only ever printed row by row begins with it.
    std::string header(const Palette& palette) const;
    // Makes the columns wide enough for `rows`.
    void fit(const std::vector<Row>& rows);
    std::string row(const Row& row, const Palette& palette);
    // Header and rows.
    std::string render(const std::vector<Row>& rows, const Palette& palette);

  private:
    std::vector<std::string> titles_;
    std::vector<std::size_t> widths_;
};

}  // namespace trailer::client
