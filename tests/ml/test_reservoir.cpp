#include <gtest/gtest.h>

#include <map>
#include <set>

#include "kernels/errors.hpp"
#include "ml/reservoir.hpp"

namespace tramontane {
namespace {

Sample numbered(std::int64_t number, bool validation = false) {
  Sample s;
  s.info.number = number;
  s.info.validation = validation;
  s.input = {1, 2};
  s.target = {3};
  return s;
}

TEST(Reservoir, NeverDropsWhatWasNotSeen) {
  Reservoir store({.capacity = 4, .watermark = 2, .seed = 5});
  EXPECT_TRUE(store.add(numbered(0)));
  EXPECT_FALSE(store.ready());
  for (int k = 1; k < 4; ++k) EXPECT_TRUE(store.add(numbered(k)));
  EXPECT_TRUE(store.ready());
  EXPECT_FALSE(store.add(numbered(4)));  // full of unseen samples: back-pressure
  EXPECT_EQ(store.refused(), 1);
  std::set<std::int64_t> seen, held{0, 1, 2, 3};
  for (int k = 5; k < 200; ++k) {
    for (const Sample* s : store.draw(1)) {
      EXPECT_TRUE(held.count(s->info.number));
      seen.insert(s->info.number);
    }
    if (store.add(numbered(k))) held.insert(k);
    EXPECT_LE(store.size(), 4u);
  }
  // What is no longer there was seen: every accepted sample is either still stored or was drawn.
  for (int round = 0; round < 500; ++round)
    for (const Sample* s : store.draw(1)) seen.insert(s->info.number);
  EXPECT_EQ(seen, held);
  EXPECT_EQ(store.accepted(), static_cast<std::int64_t>(held.size()));
  EXPECT_EQ(store.accepted(), store.evicted() + static_cast<std::int64_t>(store.size()));
  EXPECT_DOUBLE_EQ(store.reuse_factor(), 695.0 / static_cast<double>(held.size()));
  EXPECT_EQ(store.unseen(), 0u);
  EXPECT_EQ(store.bytes(), 4 * 3 * sizeof(float));
}

TEST(Reservoir, EpochsShowEverySampleOnce) {
  Reservoir store({.capacity = 10, .watermark = 1, .order = DrawOrder::shuffled_epochs, .seed = 2});
  for (int k = 0; k < 10; ++k) store.add(numbered(k));
  std::vector<std::vector<std::int64_t>> epochs;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::map<std::int64_t, int> count;
    epochs.emplace_back();
    for (const Sample* s : store.draw(10)) {
      ++count[s->info.number];
      epochs.back().push_back(s->info.number);
    }
    EXPECT_EQ(count.size(), 10u);
  }
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST(Reservoir, DrawsRepeatFromTheSeedAndAreEven) {
  auto numbers = [](std::uint64_t seed) {
    Reservoir store({.capacity = 8, .watermark = 1, .seed = seed});
    for (int k = 0; k < 8; ++k) store.add(numbered(k));
    std::vector<std::int64_t> list;
    for (const Sample* s : store.draw(8000)) list.push_back(s->info.number);
    return list;
  };
  const auto list = numbers(3);
  EXPECT_EQ(list, numbers(3));
  EXPECT_NE(list, numbers(4));
  std::map<std::int64_t, int> count;
  for (std::int64_t n : list) ++count[n];
  // Binomial(8000, 1/8): mean 1000, standard deviation 30; five of them.
  for (int k = 0; k < 8; ++k) EXPECT_NEAR(count[k], 1000, 150);
}

TEST(Reservoir, RestoredItDrawsAndEvictsTheSame) {
  for (const DrawOrder order : {DrawOrder::with_replacement, DrawOrder::shuffled_epochs}) {
    const ReservoirOptions options{.capacity = 8, .validation_capacity = 2, .watermark = 1, .order = order, .seed = 9};
    Reservoir store(options);
    std::int64_t number = 0;
    // Adds one in three as held out, draws, and tells what was drawn and what is stored.
    auto go_on = [&number](Reservoir& r, std::int64_t from) {
      std::vector<std::int64_t> told;
      for (number = from; number < from + 40; ++number) {
        told.push_back(r.add(numbered(number, number % 3 == 0)));
        if (number % 2 == 0)
          for (const Sample* s : r.draw(3)) told.push_back(s->info.number);
        for (const Sample* s : r.samples()) told.push_back(s->info.number);
        for (const auto& s : r.validation()) told.push_back(s->info.number);
      }
      told.insert(told.end(), {r.accepted(), r.evicted(), r.refused(), r.drawn(), r.validation_dropped()});
      return told;
    };
    store.add(numbered(1000));
    go_on(store, 0);
    Reservoir other(options);
    other.restore(store.state());
    EXPECT_EQ(other.unseen(), store.unseen());
    EXPECT_EQ(go_on(other, 40), go_on(store, 40));
    EXPECT_GT(store.evicted(), 5);
  }
}

TEST(Reservoir, AStateThatDoesNotFitChangesNothing) {
  Reservoir store({.capacity = 4, .watermark = 1}), smaller({.capacity = 3, .watermark = 1});
  for (int k = 0; k < 4; ++k) store.add(numbered(k));
  EXPECT_THROW(smaller.restore(store.state()), RunError);
  EXPECT_EQ(smaller.size(), 0u);
  ReservoirState wrong = store.state();
  wrong.order = {4};
  EXPECT_THROW(store.restore(wrong), RunError);
  EXPECT_EQ(store.size(), 4u);
}

TEST(Reservoir, HandsBackTheMemoryOfWhatItEvicts) {
  Reservoir store({.capacity = 2, .validation_capacity = 1, .watermark = 1});
  std::set<const Sample*> pool;
  for (int k = 0; k < 3; ++k) {
    auto sample = std::make_unique<Sample>(numbered(k, k == 0));
    pool.insert(sample.get());
    EXPECT_TRUE(store.add(sample));
    EXPECT_EQ(sample, nullptr);
  }
  auto sample = std::make_unique<Sample>(numbered(3));
  pool.insert(sample.get());
  EXPECT_FALSE(store.add(sample));
  EXPECT_EQ(sample->info.number, 3);  // refused: still the caller's
  for (int k = 3; k < 50; ++k) {
    store.draw(8);
    *sample = numbered(k, k % 5 == 0);
    EXPECT_TRUE(store.add(sample));
    ASSERT_NE(sample, nullptr);
    EXPECT_EQ(pool.count(sample.get()), 1u);
  }
}

TEST(Reservoir, HoldsValidationApart) {
  Reservoir store({.capacity = 4, .validation_capacity = 2, .watermark = 1});
  for (int k = 0; k < 3; ++k) EXPECT_TRUE(store.add(numbered(k, true)));
  EXPECT_EQ(store.validation().size(), 2u);
  EXPECT_EQ(store.validation_dropped(), 1);
  EXPECT_EQ(store.size(), 0u);
  EXPECT_THROW(store.draw(1), RunError);
}

TEST(Reservoir, ImpossibleOptionsAreInputErrors) {
  EXPECT_THROW(Reservoir({.capacity = 0, .watermark = 0}), InputError);
  EXPECT_THROW(Reservoir({.capacity = 4, .watermark = 5}), InputError);
}

}  // namespace
}  // namespace tramontane
