#include "src/archive/held_out.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/errors.hpp"
#include "ml/counter_random.hpp"
#include "src/deck/month.hpp"

namespace tramontane {

std::string month_text(int month) {
  return fmt::format("{:04}-{:02}", month / 100, month % 100);
}

std::optional<HeldOutRule> HeldOutRule::parse(const std::vector<std::string>& words) {
  HeldOutRule rule;
  if (words.size() == 1 && words[0] == "archive") return rule;
  if (words.size() == 1 && !parse_month(words[0])) {
    const char* end = words[0].data() + words[0].size();
    const auto result = std::from_chars(words[0].data(), end, rule.share);
    if (result.ec != std::errc() || result.ptr != end || !(rule.share > 0 && rule.share < 1)) return std::nullopt;
    rule.kind = Kind::share;
    return rule;
  }
  rule.kind = Kind::months;
  for (const std::string& word : words) {
    const auto month = parse_month(word);
    if (!month) return std::nullopt;
    rule.months.insert(month->number());
  }
  return rule;
}

std::set<int> HeldOutRule::choose(const std::set<int>& there, const std::set<int>& marked, std::uint64_t seed) const {
  std::set<int> chosen = kind == Kind::months ? months : marked;
  if (kind == Kind::share) {
    chosen.clear();
    std::vector<int> order(there.begin(), there.end());
    // Fisher and Yates, as far as months are wanted.
    const std::size_t wanted = std::min(
        there.size() - 1, static_cast<std::size_t>(std::ceil(share * static_cast<double>(there.size()) - 1e-9)));
    for (std::size_t k = 0; k < wanted; ++k) {
      std::swap(order[k], order[k + index_at(seed, RandomStream::held_out_months, k, order.size() - k)]);
      chosen.insert(order[k]);
    }
  }
  for (const int month : chosen)
    if (!there.count(month))
      throw InputError(fmt::format("learner.validation names {}, which no archive holds: name one of {}",
                                   month_text(month), [&] {
                                     std::vector<std::string> texts;
                                     for (const int m : there) texts.push_back(month_text(m));
                                     return fmt::format("{}", fmt::join(texts, ", "));
                                   }()));
  if (chosen.size() == there.size())
    throw InputError(
        "learner.validation leaves no month of learner.archives to train on: hold out fewer, or name more archives");
  return chosen;
}

}  // namespace tramontane
