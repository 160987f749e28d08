#include "ml/reservoir.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/errors.hpp"
#include "ml/counter_random.hpp"

namespace tramontane {

Reservoir::Reservoir(ReservoirOptions options) : options_(options) {
  if (options_.capacity == 0) throw InputError("the reservoir's capacity is zero samples: raise learner.reservoir");
  if (options_.watermark > options_.capacity)
    throw InputError(
        fmt::format("the reservoir's watermark of {} samples exceeds its capacity of {}: training would "
                    "never start",
                    options_.watermark, options_.capacity));
}

bool Reservoir::add(Sample sample) {
  auto owned = std::make_unique<Sample>(std::move(sample));
  return add(owned);
}

bool Reservoir::add_validation(std::unique_ptr<Sample>& sample) {
  if (validation_.size() < options_.validation_capacity)
    validation_.push_back(std::move(sample));
  else
    ++validation_dropped_;
  return true;
}

bool Reservoir::add(std::unique_ptr<Sample>& sample) {
  if (sample->info.validation) return add_validation(sample);
  if (training_.size() < options_.capacity) {
    training_.push_back({std::move(sample), 0});
  } else {
    const std::size_t seen = training_.size() - unseen_;
    if (seen == 0) {
      ++refused_;
      return false;
    }
    std::size_t choice = index_at(options_.seed, RandomStream::reservoir_eviction, evicted_, seen);
    std::size_t slot = 0;
    while (training_[slot].uses == 0 || choice-- > 0) ++slot;
    std::swap(training_[slot].sample, sample);
    training_[slot].uses = 0;
    ++evicted_;
  }
  ++accepted_;
  ++unseen_;
  return true;
}

void Reservoir::shuffle() {
  // Fisher and Yates, filled so that draws take from the back.
  order_.resize(training_.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  for (std::size_t k = order_.size(); k > 1; --k)
    std::swap(order_[k - 1], order_[index_at(options_.seed, RandomStream::reservoir_draw, draw_counter_++, k)]);
}

std::vector<const Sample*> Reservoir::draw(std::size_t count) {
  if (training_.empty()) throw RunError("the reservoir is empty: no training sample has arrived");
  std::vector<const Sample*> batch;
  batch.reserve(count);
  for (std::size_t k = 0; k < count; ++k) {
    std::size_t slot;
    if (options_.order == DrawOrder::shuffled_epochs) {
      if (order_.empty()) shuffle();
      slot = order_.back();
      order_.pop_back();
    } else {
      slot = index_at(options_.seed, RandomStream::reservoir_draw, draw_counter_++, training_.size());
    }
    Entry& entry = training_[slot];
    if (entry.uses++ == 0) --unseen_;
    batch.push_back(entry.sample.get());
    ++drawn_;
  }
  return batch;
}

std::size_t Reservoir::bytes() const {
  auto size = [](const Sample& s) { return (s.input.size() + s.target.size()) * sizeof(float); };
  std::size_t total = 0;
  for (const Entry& entry : training_) total += size(*entry.sample);
  for (const auto& sample : validation_) total += size(*sample);
  return total;
}

ReservoirState Reservoir::state() const {
  ReservoirState state;
  for (const Entry& entry : training_) {
    state.training.push_back(entry.sample.get());
    state.uses.push_back(entry.uses);
  }
  for (const auto& sample : validation_) state.validation.push_back(sample.get());
  state.order.assign(order_.begin(), order_.end());
  state.draw_counter = draw_counter_;
  state.accepted = accepted_;
  state.evicted = evicted_;
  state.refused = refused_;
  state.drawn = drawn_;
  state.validation_dropped = validation_dropped_;
  return state;
}

void Reservoir::restore(const ReservoirState& state) {
  const auto size = static_cast<std::int64_t>(state.training.size());
  if (state.training.size() > options_.capacity || state.validation.size() > options_.validation_capacity ||
      state.uses.size() != state.training.size() || state.accepted != state.evicted + size)
    throw RunError(fmt::format("a saved reservoir of {} training and {} held-out samples does not fit one of {} and {}",
                               state.training.size(), state.validation.size(), options_.capacity,
                               options_.validation_capacity));
  for (const std::uint64_t slot : state.order)
    if (slot >= state.training.size())
      throw RunError(fmt::format("a saved reservoir's order names sample {} of {}", slot, state.training.size()));
  std::vector<Entry> training;
  std::vector<std::unique_ptr<Sample>> validation;
  for (std::size_t k = 0; k < state.training.size(); ++k)
    training.push_back({std::make_unique<Sample>(*state.training[k]), state.uses[k]});
  for (const Sample* sample : state.validation) validation.push_back(std::make_unique<Sample>(*sample));
  training_ = std::move(training);
  validation_ = std::move(validation);
  order_.assign(state.order.begin(), state.order.end());
  unseen_ = static_cast<std::size_t>(std::count(state.uses.begin(), state.uses.end(), 0));
  draw_counter_ = state.draw_counter;
  accepted_ = state.accepted;
  evicted_ = state.evicted;
  refused_ = state.refused;
  drawn_ = state.drawn;
  validation_dropped_ = state.validation_dropped;
}

}  // namespace tramontane
