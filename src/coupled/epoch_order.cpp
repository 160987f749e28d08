#include "src/coupled/epoch_order.hpp"

#include <numeric>
#include <utility>

#include "ml/counter_random.hpp"

namespace tramontane {

std::int64_t EpochOrder::at(std::int64_t position) {
  const std::int64_t epoch = epoch_of(position);
  if (epoch != epoch_) shuffle(epoch);
  return order_[static_cast<std::size_t>(position % count_)];
}

void EpochOrder::shuffle(std::int64_t epoch) {
  epoch_ = epoch;
  order_.resize(static_cast<std::size_t>(count_));
  std::iota(order_.begin(), order_.end(), std::int64_t{0});
  // Fisher and Yates; every epoch has its own stretch of the random numbers.
  const std::uint64_t first = static_cast<std::uint64_t>(epoch) << 40;
  for (std::size_t k = order_.size(); k > 1; --k)
    std::swap(order_[k - 1], order_[index_at(seed_, RandomStream::epoch_order, first + k, k)]);
}

}  // namespace tramontane
