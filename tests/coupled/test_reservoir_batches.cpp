// Batches from a reservoir on one rank: saved and restored, recorded and replayed, fixed memory, drift.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "job.hpp"
#include "kernels/errors.hpp"
#include "src/coupled/reservoir_batches.hpp"

namespace tramontane::testing {
namespace {

constexpr int kEdge = 8;
constexpr std::size_t kCells = 6 * kEdge * kEdge;

/// Every value tells its sample; one sample in `held_out` is held out.
Sample sample_of(std::int64_t number, std::int64_t held_out) {
  Sample s;
  s.info = {number, 0, number % held_out == 0 ? 1 : 0, 198001, 0};
  s.n = kEdge;
  for (std::size_t k = 0; k < sample_inputs().size() * kCells; ++k)
    s.input.push_back(static_cast<float>(number) + 0.25f * static_cast<float>(k % 5));
  for (std::size_t k = 0; k < sample_targets().size() * kCells; ++k)
    s.target.push_back(1e-3f * static_cast<float>(number % 7) - 1e-4f * static_cast<float>(k % 3));
  return s;
}

/// Samples [first, count) but those in `lost`. poll() gives `burst` samples and then once none, so that what is at hand
/// differs from run to run as it does in a stream.
class FakeSource : public SampleSource {
 public:
  FakeSource(std::int64_t first, std::int64_t count, int burst, std::set<std::int64_t> lost = {})
      : next_(first), count_(count), burst_(burst), lost_(std::move(lost)) {
    skip_lost();
  }
  bool poll(Sample& into) override {
    if (++polls_ % (burst_ + 1) == 0) return false;
    return wait(into);
  }
  bool wait(Sample& into) override {
    if (ended()) return false;
    if (!into.input.empty()) memory_.insert(into.input.data());
    const Sample sample = sample_of(next_, 6);
    into.info = sample.info;
    into.n = sample.n;
    into.input.assign(sample.input.begin(), sample.input.end());
    into.target.assign(sample.target.begin(), sample.target.end());
    last_ = next_++;
    skip_lost();
    return true;
  }
  bool ended() const override { return next_ >= count_; }
  void discard_rest() override { next_ = count_; }

  std::int64_t last() const { return last_; }
  std::size_t places() const { return memory_.size(); }  ///< different memory that it has filled

 private:
  void skip_lost() {
    while (lost_.count(next_)) ++next_;
  }
  std::int64_t next_, count_, last_ = -1;
  int burst_, polls_ = 0;
  std::set<std::int64_t> lost_;
  std::set<const float*> memory_;
};

constexpr std::int64_t kSamples = 90, kSteps = 60;

Deck deck_of(bool deterministic) {
  Deck deck;
  deck.learner.batch = 4;
  deck.learner.reservoir = 12;
  deck.learner.watermark = 6;
  deck.learner.deterministic = deterministic;
  return deck;
}

ReservoirBatches batches_from(const Deck& deck, SampleSource& source) {
  return ReservoirBatches(deck, source, kSteps, kSamples - kSamples / 6, kSamples / 6,
                          std::vector<double>(kCells, 1.0), MPI_COMM_SELF, false);
}

/// The numbers of the samples drawn in the steps (from, to].
std::vector<std::int64_t> drawn(ReservoirBatches& batches, std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t step = from + 1; step <= to; ++step)
    for (const Sample* s : batches.batch(step)) {
      numbers.push_back(s->info.number);
      EXPECT_EQ(s->input, sample_of(s->info.number, 6).input);
    }
  return numbers;
}

TEST(ReservoirBatches, ARestoredOneGoesOnAsTheFirstWouldHave) {
  for (const std::int64_t cut : {std::int64_t{1}, std::int64_t{17}, std::int64_t{45}}) {
    const Deck deck = deck_of(true);
    FakeSource source(0, kSamples, 3);
    ReservoirBatches whole = batches_from(deck, source);
    whole.prepare();
    drawn(whole, 0, cut);
    FakeSource rest(source.last() + 1, kSamples, 5);  // the stream goes on behind what was delivered
    ReservoirBatches other = batches_from(deck, rest);
    other.restore(whole.state());
    other.prepare();
    other.skip(cut);
    EXPECT_EQ(drawn(other, cut, kSteps), drawn(whole, cut, kSteps));
    EXPECT_EQ(other.deliveries(), whole.deliveries());
    EXPECT_EQ(other.accepted(), whole.accepted());
  }
}

TEST(ReservoirBatches, AStateThatDoesNotFitIsRefused) {
  Deck deck = deck_of(true);
  FakeSource source(0, kSamples, 3);
  ReservoirBatches whole = batches_from(deck, source);
  whole.prepare();
  drawn(whole, 0, 30);
  deck.learner.reservoir = deck.learner.watermark;
  ReservoirBatches smaller = batches_from(deck, source);
  EXPECT_THROW(smaller.restore(whole.state()), RunError);
}

TEST(ReservoirBatches, ARecordedOrderIsRepeatedWhateverTheTimingWas) {
  for (const bool deterministic : {true, false}) {
    const Deck deck = deck_of(deterministic);
    // Recorded with samples lost on the way and in bursts of two; repeated from all samples, each at once.
    FakeSource source(0, kSamples, 2, {3, 4, 20, 21, 22, 77});
    ReservoirBatches first = batches_from(deck, source);
    first.prepare();
    const std::vector<std::int64_t> expected = drawn(first, 0, kSteps);
    FakeSource archive(0, kSamples, 1000);
    ReservoirBatches second = batches_from(deck, archive);
    second.replay(first.deliveries());
    second.prepare();
    EXPECT_EQ(drawn(second, 0, kSteps), expected);
    EXPECT_EQ(second.deliveries(), first.deliveries());
    FakeSource lacking(0, kSamples, 1000, {first.deliveries()[5].number});
    ReservoirBatches third = batches_from(deck, lacking);
    third.replay(first.deliveries());
    EXPECT_THROW(
        {
          third.prepare();
          drawn(third, 0, kSteps);
        },
        RunError);
  }
}

TEST(ReservoirBatches, HoldsNoMoreMemoryThanAtTheStart) {
  const Deck deck = deck_of(false);
  FakeSource source(0, kSamples, 4);
  ReservoirBatches batches = batches_from(deck, source);
  // Twelve to draw from, twelve waiting, fifteen held out, and the one at hand.
  EXPECT_EQ(batches.sample_bytes(), 9 * kCells * sizeof(float));
  EXPECT_EQ(batches.pool_bytes(), (12 + 12 + 15 + 1) * batches.sample_bytes());
  batches.prepare();
  drawn(batches, 0, kSteps);
  batches.finish();
  EXPECT_GT(batches.accepted(), 30);
  EXPECT_LE(source.places(), std::size_t{40});
  FakeSource few(0, 10, 4);
  // Never more than the samples that are announced for this learner.
  EXPECT_EQ(ReservoirBatches(deck, few, kSteps, 8, 2, std::vector<double>(kCells, 1.0), MPI_COMM_SELF, false)
                .pool_bytes(),
            11 * batches.sample_bytes());
}

TEST(DeliveryRecord, ComesBackFromItsFileAndADamagedOneIsRefused) {
  const Scratch scratch("deliveries");
  const std::string path = scratch / "deliveries.csv";
  const std::vector<Delivery> record = {{0, 0}, {1, 0}, {5, 0}, {6, 12}, {1234567890123, 99}};
  write_deliveries(path, record, MPI_COMM_SELF);
  EXPECT_EQ(read_deliveries(path, 0, 1), record);
  EXPECT_THROW(read_deliveries(path, 0, 2), InputError);
  EXPECT_THROW(read_deliveries(scratch / "none.csv", 0, 1), InputError);
  const std::string good = read_text(path);
  for (std::size_t k = 0; k < good.size(); ++k) {
    std::string bad = good;
    bad[k] = static_cast<char>(bad[k] ^ (1 << k % 8));
    scratch.write("deliveries.csv", bad);
    EXPECT_THROW(read_deliveries(path, 0, 1), InputError) << "byte " << k;
  }
}

TEST(Drift, MomentsMergeAndTellShiftAndSpread) {
  const std::vector<double> area(kCells, 3.0);
  const Sample one = sample_of(7, 100), two = sample_of(8, 100);
  ChannelMoments both(one, area);
  both.merge(ChannelMoments(two, area));
  // Of surface height: values number + 0, 0.25, 0.5, 0.75, 1 by turns over 24 cells.
  double mean = 0, squares = 0;
  for (const Sample* s : {&one, &two})
    for (std::size_t k = 0; k < kCells; ++k) mean += s->input[k] / (2.0 * kCells);
  for (const Sample* s : {&one, &two})
    for (std::size_t k = 0; k < kCells; ++k) squares += (s->input[k] - mean) * (s->input[k] - mean) / kCells;
  EXPECT_NEAR(both.mean[0], mean, 1e-12);
  EXPECT_NEAR(both.squares[0], squares, 1e-12);
  EXPECT_EQ(drift_between(ChannelScales(both), ChannelScales(both)), 0);

  ChannelMoments shifted = both;
  const double deviation = std::sqrt(both.squares[0] / both.samples);
  shifted.mean[0] += 0.75 * deviation;
  std::size_t channel = 99;
  EXPECT_NEAR(drift_between(ChannelScales(shifted), ChannelScales(both), &channel), 0.75, 1e-12);
  EXPECT_EQ(channel, 0u);
  ChannelMoments wider = both;
  wider.squares[4] *= std::exp(2 * 0.4);
  EXPECT_NEAR(drift_between(ChannelScales(wider), ChannelScales(both), &channel), 0.4, 1e-12);
  EXPECT_EQ(channel, 4u);
  EXPECT_EQ(both.reduced(MPI_COMM_SELF).mean, both.mean);
}

TEST(Drift, AgreesWithTheNormaliserOfTheSameSamples) {
  std::vector<double> area(kCells);
  for (std::size_t k = 0; k < kCells; ++k) area[k] = 1.0 + 0.1 * static_cast<double>(k % 4);
  NormaliserStatistics statistics(area, 5, 4);
  ChannelMoments moments;
  for (int number = 0; number < 9; ++number) {
    statistics.add(sample_of(number, 100));
    moments.merge(ChannelMoments(sample_of(number, 100), area));
  }
  // Two ways to sum: rounding only.
  EXPECT_LT(drift_between(ChannelScales(moments), ChannelScales(statistics.finish(1))), 1e-10);
}

}  // namespace
}  // namespace tramontane::testing
