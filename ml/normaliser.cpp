#include "ml/normaliser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/errors.hpp"
#include "ml/mpi_deadline.hpp"

namespace tramontane {

void NormaliserStatistics::Moments::add(double value, double w) {
  weight += w;
  const double delta = value - mean;
  mean += delta * w / weight;
  squares += w * delta * (value - mean);
  largest = std::max(largest, std::abs(value));
}

void NormaliserStatistics::Moments::merge(const Moments& other) {
  if (other.weight == 0) return;
  const double total = weight + other.weight, delta = other.mean - mean;
  mean += delta * other.weight / total;
  squares += other.squares + delta * delta * weight * other.weight / total;
  weight = total;
  largest = std::max(largest, other.largest);
}

NormaliserStatistics::NormaliserStatistics(std::vector<double> area, int inputs, int targets)
    : area_(std::move(area)), inputs_(inputs), targets_(targets), moments_(inputs + targets) {
  // Weights of order one keep the sums well scaled whatever the unit of area.
  const double mean = std::accumulate(area_.begin(), area_.end(), 0.0) / static_cast<double>(area_.size());
  for (double& a : area_) a /= mean;
}

void NormaliserStatistics::add(const Sample& sample) {
  const std::size_t cells = area_.size();
  if (sample.input.size() != cells * inputs_ || sample.target.size() != cells * targets_)
    throw RunError(fmt::format("sample {} has {} input and {} target values, the normaliser expects {} and {}",
                               sample.info.number, sample.input.size(), sample.target.size(), cells * inputs_,
                               cells * targets_));
  for (int v = 0; v < inputs_ + targets_; ++v) {
    const float* values = v < inputs_ ? &sample.input[v * cells] : &sample.target[(v - inputs_) * cells];
    // Per sample first, then merged: rounding does not grow with the number of samples.
    Moments here;
    for (std::size_t cell = 0; cell < cells; ++cell) here.add(values[cell], area_[cell]);
    if (!std::isfinite(here.mean) || !std::isfinite(here.squares))
      throw RunError(fmt::format("sample {} has a value that is not finite in {} {}", sample.info.number,
                                 v < inputs_ ? "input" : "target", v < inputs_ ? v : v - inputs_));
    moments_[v].merge(here);
  }
  ++samples_;
}

void NormaliserStatistics::merge(const NormaliserStatistics& other) {
  for (std::size_t v = 0; v < moments_.size(); ++v) moments_[v].merge(other.moments_[v]);
  samples_ += other.samples_;
}

void NormaliserStatistics::reduce(MPI_Comm comm, double deadline_seconds) {
  const OwnedCommunicator own(comm);
  const int doubles = static_cast<int>(moments_.size() * sizeof(Moments) / sizeof(double));
  std::vector<Moments> all(moments_.size() * own.size());
  std::vector<std::int64_t> counts(own.size());
  std::vector<MPI_Request> requests(2);
  MPI_Iallgather(moments_.data(), doubles, MPI_DOUBLE, all.data(), doubles, MPI_DOUBLE, own.get(), &requests[0]);
  MPI_Iallgather(&samples_, 1, MPI_INT64_T, counts.data(), 1, MPI_INT64_T, own.get(), &requests[1]);
  wait_with_deadline(requests, deadline_seconds, "the reduction of the normaliser over the learner ranks",
                     own.get());
  std::vector<Moments> merged(moments_.size());
  for (int rank = 0; rank < own.size(); ++rank)
    for (std::size_t v = 0; v < merged.size(); ++v) merged[v].merge(all[rank * merged.size() + v]);
  moments_ = std::move(merged);
  samples_ = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

Normaliser NormaliserStatistics::finish(double bound_factor) const {
  if (samples_ == 0) throw RunError("the normaliser has seen no samples: nothing was streamed or archived");
  Normaliser result;
  result.samples = samples_;
  for (int v = 0; v < inputs_ + targets_; ++v) {
    const Moments& m = moments_[v];
    const double deviation = std::sqrt(m.squares / m.weight);
    // A channel that never changes carries no information: after subtraction it is zero whatever it is divided by.
    const double scale = deviation > 1e-12 * m.largest && deviation > 0 ? deviation : 1.0;
    if (v < inputs_) {
      result.input_mean.push_back(m.mean);
      result.input_std.push_back(scale);
    } else {
      result.target_std.push_back(scale);
      result.bound.push_back(bound_factor * m.largest);
    }
  }
  // Mean square of a channel is mean^2 + variance.
  auto vector_scale = [&](int first) {
    double mean_square = 0;
    for (int c = 0; c < 3; ++c) {
      const Moments& m = moments_[first + c];
      mean_square += (m.mean * m.mean + m.squares / m.weight) / 3;
    }
    return mean_square > 0 ? std::sqrt(mean_square) : 1.0;
  };
  if (inputs_ >= kInputVector + 3)
    for (int c = kInputVector; c < kInputVector + 3; ++c) {
      result.input_mean[c] = 0;
      result.input_std[c] = vector_scale(kInputVector);
    }
  if (targets_ >= kTargetVector + 3)
    for (int c = kTargetVector; c < kTargetVector + 3; ++c) {
      result.target_std[c] = vector_scale(inputs_ + kTargetVector);
      result.bound[c] =
          std::max({result.bound[kTargetVector], result.bound[kTargetVector + 1], result.bound[kTargetVector + 2]});
    }
  return result;
}

}  // namespace tramontane
