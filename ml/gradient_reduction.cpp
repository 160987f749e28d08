#include "ml/gradient_reduction.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tramontane {

GradientReducer::GradientReducer(MPI_Comm comm, std::size_t size, double deadline_seconds)
    : comm_(comm), deadline_(deadline_seconds), size_(size), share_((size + comm_.size() - 1) / comm_.size()) {
  if (comm_.size() == 1) return;
  padded_.assign(share_ * comm_.size(), 0.0f);
  received_.resize(padded_.size());
  summed_.resize(share_);
}

void GradientReducer::mean(std::vector<float>& values) {
  const int ranks = comm_.size();
  if (ranks == 1) return;
  const std::string what =
      fmt::format("the gradient reduction of learner rank {} with {} others", comm_.rank(), ranks - 1);
  const int share = static_cast<int>(share_);
  std::copy(values.begin(), values.end(), padded_.begin());
  requests_.assign(1, MPI_REQUEST_NULL);
  MPI_Ialltoall(padded_.data(), share, MPI_FLOAT, received_.data(), share, MPI_FLOAT, comm_.get(), &requests_[0]);
  wait_with_deadline(requests_, deadline_, what);
  for (std::size_t k = 0; k < share_; ++k) {
    double sum = 0;
    for (int rank = 0; rank < ranks; ++rank) sum += received_[rank * share_ + k];
    summed_[k] = static_cast<float>(sum / ranks);
  }
  requests_.assign(1, MPI_REQUEST_NULL);
  MPI_Iallgather(summed_.data(), share, MPI_FLOAT, padded_.data(), share, MPI_FLOAT, comm_.get(), &requests_[0]);
  wait_with_deadline(requests_, deadline_, what);
  std::copy_n(padded_.begin(), size_, values.begin());
}

}  // namespace tramontane
