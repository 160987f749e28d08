#include "src/coupled/sample_tiles.hpp"

namespace tramontane {

namespace {

const std::size_t kVariables = sample_inputs().size() + sample_targets().size();

/// Pointers to the variables of a sample that lies in one piece.
std::vector<float*> pieces(float* first, std::size_t cells) {
  std::vector<float*> variables;
  for (std::size_t v = 0; v < kVariables; ++v) variables.push_back(first + v * cells);
  return variables;
}

}  // namespace

SampleTiles::SampleTiles(const ShallowWater& coarse, double deadline_seconds)
    : pack_(coarse), deadline_(deadline_seconds), start_(coarse.make_state("sample: start")) {
  if constexpr (!kHostReadsKernelMemory)
    device_ = View<float*>("sample", kVariables * static_cast<std::size_t>(pack_.cells()));
}

void SampleTiles::begin(const SampleInfo& sample, const State& start) {
  info = sample;
  Kokkos::deep_copy(ExecutionSpace(), start_, start);
}

void SampleTiles::finish(const State& end, const State& truth, double seconds) {
  end_ = end;
  truth_ = truth;
  seconds_ = seconds;
  on_host_.clear();
  if constexpr (!kHostReadsKernelMemory) {
    copy_.hold_kernels();  // until the sample before has left
    make(pieces(device_.data(), static_cast<std::size_t>(pack_.cells())));
  }
}

void SampleTiles::make(std::span<float* const> variables) {
  pack_(variables, start_, end_, truth_, seconds_);
}

void SampleTiles::write(std::span<float* const> variables) {
  make(variables);
  ExecutionSpace().fence();
  on_host_.assign(variables.begin(), variables.end());
}

void SampleTiles::take_buffer() {
  if (!buffer_.empty()) return;
  buffer_.resize(kVariables * static_cast<std::size_t>(pack_.cells()));
  in_buffer_ = pieces(buffer_.data(), static_cast<std::size_t>(pack_.cells()));
}

std::string SampleTiles::lock_buffer() {
  if constexpr (kHostReadsKernelMemory) return "";
  take_buffer();
  if (!page_lock_) page_lock_ = std::make_unique<PageLock>(buffer_.data(), buffer_.size() * sizeof(float));
  return page_lock_->why_not();
}

const std::vector<const float*>& SampleTiles::on_host() {
  if (!on_host_.empty()) return on_host_;
  if constexpr (kHostReadsKernelMemory) {
    take_buffer();
    write(in_buffer_);
  } else {
    lock_buffer();
    copy_.start(buffer_.data(), device_.data(), buffer_.size() * sizeof(float));
    copy_.wait("the device to copy a sample to the host", deadline_);
    on_host_.assign(in_buffer_.begin(), in_buffer_.end());
  }
  return on_host_;
}

void SampleTiles::start(std::span<float* const> places) {
  if constexpr (kHostReadsKernelMemory) return write(places);
  const auto cells = static_cast<std::size_t>(pack_.cells());
  for (std::size_t v = 0; v < places.size(); ++v)
    copy_.start(places[v], device_.data() + v * cells, cells * sizeof(float));
}

}  // namespace tramontane
