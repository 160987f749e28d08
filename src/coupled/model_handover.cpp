#include "src/coupled/model_handover.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "kernels/checksum.hpp"
#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"
#include "ml/mpi_deadline.hpp"

namespace tramontane {

namespace {

enum Tag : int { kBeatTag = 1, kModelTag = 2, kVerdictTag = 3, kGiveUpTag = 4, kDoneTag = 5, kLeaveTag = 6, kEndTag = 7 };
constexpr double kBeatSeconds = 2.0;
/// A silence that was too long is looked at once more after this time: while the solver was busy nothing moved the
/// messages that may have been on their way.
constexpr double kGraceSeconds = 2.0;

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

template <class Plain>
std::vector<std::byte> to_bytes(const Plain& value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

}  // namespace

ModelHandover::ModelHandover(MPI_Comm world, const RankLayout& ranks, double deadline_seconds)
    : ranks_(ranks), deadline_(deadline_seconds), last_beat_(MPI_Wtime()), heard_(last_beat_) {
  MPI_Comm_dup(world, &comm_);
  const std::string node = host_name();
  Checksum sum;
  sum.add(node.data(), node.size());
  const Seat seat{getpid(), sum.value()};
  seats_.resize(static_cast<std::size_t>(ranks.total()));
  has_come_.assign(seats_.size(), false);
  MPI_Gather(&seat, sizeof seat, MPI_BYTE, seats_.data(), sizeof seat, MPI_BYTE, 0, comm_);
}

ModelHandover::~ModelHandover() {
  clear_sent();
  // What the other side never took is left to MPI, buffer and all; so is the communicator then.
  const bool is_quiet = outgoing_.empty() && arriving_request_ == MPI_REQUEST_NULL;
  for (auto& message : outgoing_) (void)message.release();
  if (arriving_request_ != MPI_REQUEST_NULL) new std::vector<std::byte>(std::move(arriving_));
  if (is_quiet && !state_.is_lost) {
    forget_communicator(comm_);
    MPI_Comm_free(&comm_);
  }
}

void ModelHandover::send(int to, int tag, std::vector<std::byte> bytes) {
  outgoing_.push_back(std::make_unique<Outgoing>());
  Outgoing& message = *outgoing_.back();
  message.bytes = std::move(bytes);
  MPI_Isend(message.bytes.data(), static_cast<int>(message.bytes.size()), MPI_BYTE, to, tag, comm_, &message.request);
}

void ModelHandover::clear_sent() {
  std::erase_if(outgoing_, [](const auto& message) {
    int done = 0;
    MPI_Test(&message->request, &done, MPI_STATUS_IGNORE);
    return done != 0;
  });
}

bool ModelHandover::is_free() {
  clear_sent();
  return outgoing_.empty();
}

void ModelHandover::publish(std::vector<std::byte> model) {
  send(0, kModelTag, std::move(model));
}

std::optional<Verdict> ModelHandover::verdict() {
  int found = 0;
  MPI_Iprobe(0, kVerdictTag, comm_, &found, MPI_STATUS_IGNORE);
  if (!found) return {};
  Verdict verdict;
  MPI_Recv(&verdict, sizeof verdict, MPI_BYTE, 0, kVerdictTag, comm_, MPI_STATUS_IGNORE);
  return verdict;
}

void ModelHandover::beat(std::int64_t step) {
  if (MPI_Wtime() - last_beat_ < kBeatSeconds || !is_free()) return;
  last_beat_ = MPI_Wtime();
  send(0, kBeatTag, to_bytes(step));
}

void ModelHandover::finish() {
  send(0, kDoneTag, {});
  const double began = MPI_Wtime();
  const WaitScope wait("the solver to take the last weights", comm_, 0, deadline_);
  while (!is_free()) {
    if (meanwhile_ && !meanwhile_()) return;
    if (MPI_Wtime() - began > deadline_)
      throw RunError(fmt::format("solver rank 0 has not taken the model for {:g} s", deadline_));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void ModelHandover::give_up(const std::string& why) {
  const auto* text = reinterpret_cast<const std::byte*>(why.data());
  send(0, kGiveUpTag, {text, text + why.size()});
}

void ModelHandover::await_end() {
  send(0, kLeaveTag, {});
  const WaitScope wait("the end of the run", comm_, 0);
  for (int found = 0; !found;) {
    clear_sent();
    MPI_Iprobe(0, kEndTag, comm_, &found, MPI_STATUS_IGNORE);
    if (!found) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  MPI_Recv(nullptr, 0, MPI_BYTE, 0, kEndTag, comm_, MPI_STATUS_IGNORE);
  while (verdict()) {  // those that nobody waited for
  }
}

bool ModelHandover::end_together(double seconds) {
  const double began = MPI_Wtime();
  const WaitScope wait("the learner ranks to end", comm_, WaitScope::kAll, seconds);
  int missing = ranks_.learners;
  while (missing > 0) {
    listen();
    int found = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, kLeaveTag, comm_, &found, &status);
    if (found) {
      MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, kLeaveTag, comm_, MPI_STATUS_IGNORE);
      has_come_[static_cast<std::size_t>(status.MPI_SOURCE)] = true;
      --missing;
    } else if (MPI_Wtime() - began > seconds) {
      return false;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  for (int learner = 0; learner < ranks_.learners; ++learner) send(first_learner() + learner, kEndTag, {});
  return true;
}

void ModelHandover::kill_stragglers() const {
  // Elsewhere mpirun ends the job with its first dead process, so nothing must be killed; with recovery it leaves a
  // stopped one for ever.
  const char* recovery = std::getenv("OMPI_MCA_orte_enable_recovery");
  if (!recovery || std::string(recovery) != "1") return;
  for (int rank = first_learner(); rank < ranks_.total(); ++rank) {
    const auto k = static_cast<std::size_t>(rank);
    if (!has_come_[k] && seats_[k].node == seats_[0].node) kill(static_cast<pid_t>(seats_[k].process), SIGKILL);
  }
}

std::optional<std::vector<std::byte>> ModelHandover::poll() {
  listen();
  if (arrived_.empty()) return {};
  std::vector<std::byte> bytes = std::move(arrived_.front());
  arrived_.pop_front();
  return bytes;
}

void ModelHandover::answer(const Verdict& verdict) {
  clear_sent();
  if (!state_.is_lost) send(first_learner(), kVerdictTag, to_bytes(verdict));
}

LearnerState ModelHandover::learner() {
  listen();
  LearnerState state = state_;
  state.is_done = state_.is_done && arrived_.empty() && arriving_request_ == MPI_REQUEST_NULL;
  return state;
}

void ModelHandover::expect_signs() {
  is_expecting_ = true;
  heard_ = MPI_Wtime();
}

void ModelHandover::set_lost(const std::string& why, bool takes_samples) {
  if (state_.is_lost) return;
  state_.is_lost = true;
  state_.why = why;
  state_.takes_samples = takes_samples;
}

void ModelHandover::listen() {
  clear_sent();
  int found = 0;
  MPI_Status status;
  while (MPI_Iprobe(MPI_ANY_SOURCE, kGiveUpTag, comm_, &found, &status), found) {
    int size = 0;
    MPI_Get_count(&status, MPI_BYTE, &size);
    std::string why(static_cast<std::size_t>(size), ' ');
    MPI_Recv(why.data(), size, MPI_BYTE, status.MPI_SOURCE, kGiveUpTag, comm_, MPI_STATUS_IGNORE);
    set_lost(fmt::format("learner rank {} gave up: {}", status.MPI_SOURCE, why), true);
  }
  while (MPI_Iprobe(first_learner(), kBeatTag, comm_, &found, &status), found) {
    heard_ = MPI_Wtime();
    MPI_Recv(&state_.step, 1, MPI_INT64_T, first_learner(), kBeatTag, comm_, MPI_STATUS_IGNORE);
  }
  // A model is long: it is received while the solver goes on.
  for (bool more = true; more;) {
    more = false;
    if (arriving_request_ == MPI_REQUEST_NULL) {
      MPI_Message message;
      MPI_Improbe(first_learner(), kModelTag, comm_, &found, &message, &status);
      if (!found) break;
      int size = 0;
      MPI_Get_count(&status, MPI_BYTE, &size);
      arriving_.resize(static_cast<std::size_t>(size));
      MPI_Imrecv(arriving_.data(), size, MPI_BYTE, &message, &arriving_request_);
    }
    int done = 0;
    MPI_Test(&arriving_request_, &done, MPI_STATUS_IGNORE);
    if (!done) break;
    heard_ = MPI_Wtime();
    arrived_.push_back(std::move(arriving_));
    arriving_.clear();
    more = true;
  }
  // After the models: messages of one rank come in their order, so all that it sent is here when it says so.
  MPI_Iprobe(first_learner(), kDoneTag, comm_, &found, MPI_STATUS_IGNORE);
  if (found) {
    MPI_Recv(nullptr, 0, MPI_BYTE, first_learner(), kDoneTag, comm_, MPI_STATUS_IGNORE);
    state_.is_done = true;
  }
  const double now = MPI_Wtime();
  if (!is_expecting_ || state_.is_done || state_.is_lost || now - heard_ <= deadline_) {
    suspected_ = 0;
  } else if (suspected_ == 0) {
    suspected_ = now;
  } else if (now - suspected_ > kGraceSeconds) {
    set_lost(fmt::format("learner rank {} has been silent for {:.0f} s: it has died or hangs", first_learner(),
                         now - heard_),
             false);
  }
}

}  // namespace tramontane
