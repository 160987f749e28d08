#include "src/coupled/model_handover.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <thread>

#include "kernels/errors.hpp"
#include "ml/mpi_deadline.hpp"

namespace tramontane {

namespace {
constexpr int kBeatTag = 1, kModelTag = 2;
constexpr double kBeatSeconds = 2.0, kTellSeconds = 30.0;

/// What the first solver rank tells the others about each second of waiting.
enum class Wait : int { still = 0, arrived = 1, silent = 2 };
}  // namespace

ModelHandover::ModelHandover(MPI_Comm world, const RankLayout& ranks, MPI_Comm solvers, double deadline_seconds)
    : solvers_(solvers), ranks_(ranks), deadline_(deadline_seconds), last_beat_(MPI_Wtime()) {
  MPI_Comm_dup(world, &comm_);
  if (solvers_ != MPI_COMM_NULL) MPI_Comm_rank(solvers_, &solver_rank_);
}

ModelHandover::~ModelHandover() {
  if (beat_request_ != MPI_REQUEST_NULL) MPI_Request_free(&beat_request_);
  MPI_Comm_free(&comm_);
}

void ModelHandover::beat(std::int64_t step) {
  if (MPI_Wtime() - last_beat_ < kBeatSeconds) return;
  int sent = 1;
  if (beat_request_ != MPI_REQUEST_NULL) MPI_Test(&beat_request_, &sent, MPI_STATUS_IGNORE);
  if (!sent) return;
  last_beat_ = MPI_Wtime();
  beat_step_ = step;
  MPI_Isend(&beat_step_, 1, MPI_INT64_T, 0, kBeatTag, comm_, &beat_request_);
}

void ModelHandover::send(const Model& model) {
  const std::vector<std::byte> bytes = model.to_bytes();
  std::vector<MPI_Request> requests(1);
  MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, 0, kModelTag, comm_, requests.data());
  if (beat_request_ != MPI_REQUEST_NULL) {
    requests.push_back(beat_request_);
    beat_request_ = MPI_REQUEST_NULL;
  }
  wait_with_deadline(requests, deadline_, "sending the model to solver rank 0");
}

void ModelHandover::listen() {
  if (solver_rank_ != 0) return;
  int found = 0;
  MPI_Status status;
  while (MPI_Iprobe(first_learner(), MPI_ANY_TAG, comm_, &found, &status), found) {
    heard_ = MPI_Wtime();
    if (status.MPI_TAG == kBeatTag) {
      MPI_Recv(&heard_step_, 1, MPI_INT64_T, first_learner(), kBeatTag, comm_, MPI_STATUS_IGNORE);
    } else {
      int size = 0;
      MPI_Get_count(&status, MPI_BYTE, &size);
      received_.resize(static_cast<std::size_t>(size));
      MPI_Recv(received_.data(), size, MPI_BYTE, first_learner(), kModelTag, comm_, MPI_STATUS_IGNORE);
    }
  }
}

Model ModelHandover::receive(const std::function<void(std::int64_t)>& on_beat) {
  heard_ = MPI_Wtime();  // silence counts from here: until now the solvers may not have listened
  double told = heard_;
  Wait state = Wait::still;
  while (state == Wait::still) {
    if (solver_rank_ == 0) {
      const double slice = MPI_Wtime();
      while (state == Wait::still && MPI_Wtime() - slice < 1.0) {
        listen();
        if (!received_.empty())
          state = Wait::arrived;
        else if (MPI_Wtime() - heard_ > deadline_)
          state = Wait::silent;
        else
          std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the learner may share this core
      }
      if (state == Wait::still && MPI_Wtime() - told > kTellSeconds) {
        told = MPI_Wtime();
        on_beat(heard_step_);
      }
    }
    std::vector<MPI_Request> requests(1);
    int word = static_cast<int>(state);
    MPI_Ibcast(&word, 1, MPI_INT, 0, solvers_, requests.data());
    wait_with_deadline(requests, deadline_, "word from solver rank 0 about the model");
    state = static_cast<Wait>(word);
  }
  if (state == Wait::silent)
    throw RunError(
        fmt::format("learner rank {} has been silent for {:.0f} s: it has died or hangs", first_learner(), deadline_));
  std::vector<std::byte>& bytes = received_;
  int size = static_cast<int>(bytes.size());
  std::vector<MPI_Request> requests(1);
  MPI_Ibcast(&size, 1, MPI_INT, 0, solvers_, requests.data());
  wait_with_deadline(requests, deadline_, "the model's size from solver rank 0");
  bytes.resize(static_cast<std::size_t>(size));
  requests.assign(1, MPI_REQUEST_NULL);
  MPI_Ibcast(bytes.data(), size, MPI_BYTE, 0, solvers_, requests.data());
  wait_with_deadline(requests, deadline_, "the model from solver rank 0");
  return Model::from_bytes(bytes, "the learner's model");
}

}  // namespace tramontane
