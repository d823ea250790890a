// A list of values that don't change, shared by its copies: a state that differs in one of a
// thousand workspaces from the one before costs that one.
#pragma once

#include <algorithm>
#include <boost/iterator/indirect_iterator.hpp>
#include <memory>
#include <utility>
#include <vector>

namespace trailer::reconcile {

// May be read by many threads at once, as its values may. A value stays where it is for as long as
// one of the lists that share it is there.
template <typename T>
class SharedList {
    using Values = std::vector<std::shared_ptr<const T>>;

  public:
    using value_type = T;
    using const_iterator = boost::indirect_iterator<typename Values::const_iterator>;

    const_iterator begin() const { return const_iterator(values_.begin()); }
    const_iterator end() const { return const_iterator(values_.end()); }
    std::size_t size() const { return values_.size(); }
    bool empty() const { return values_.empty(); }
    const T& operator[](std::size_t place) const { return *values_[place]; }
    const T& front() const { return *values_.front(); }

    void reserve(std::size_t count) { values_.reserve(count); }
    void push_back(T value) { values_.push_back(std::make_shared<const T>(std::move(value))); }
    // The value that `other` has there.
    void push_back_shared(const SharedList& other, std::size_t place) {
        values_.push_back(other.values_[place]);
    }

    bool operator==(const SharedList& other) const {
        return std::ranges::equal(values_, other.values_,
                                  [](const auto& a, const auto& b) { return a == b || *a == *b; });
    }

  private:
    Values values_;
};

}  // namespace trailer::reconcile
