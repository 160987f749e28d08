#include "src/coupled/run_snapshot_link.hpp"

#include <cstring>
#include <exception>

namespace tramontane {

namespace {
enum Tag : int { kOrderTag = 1, kAnswerTag = 2, kSignalTag = 3 };
}  // namespace

SnapshotLink::SnapshotLink(MPI_Comm world, const RankLayout& ranks)
    : ranks_(ranks), exceptions_at_start_(std::uncaught_exceptions()) {
  MPI_Comm_dup(world, &comm_);
}

SnapshotLink::~SnapshotLink() {
  // What the other side never took is left to MPI, buffer and all; so is the communicator then.
  bool is_quiet = std::uncaught_exceptions() == exceptions_at_start_;
  for (auto& message : outgoing_) {
    int done = 0;
    MPI_Test(&message->request, &done, MPI_STATUS_IGNORE);
    if (done) continue;
    is_quiet = false;
    (void)message.release();
  }
  if (is_quiet) MPI_Comm_free(&comm_);
}

template <class Plain>
void SnapshotLink::send(int to, int tag, const Plain& value) {
  std::erase_if(outgoing_, [](const auto& message) {
    int done = 0;
    MPI_Test(&message->request, &done, MPI_STATUS_IGNORE);
    return done != 0;
  });
  outgoing_.push_back(std::make_unique<Outgoing>());
  Outgoing& message = *outgoing_.back();
  message.bytes.resize(sizeof value);
  std::memcpy(message.bytes.data(), &value, sizeof value);
  MPI_Isend(message.bytes.data(), static_cast<int>(sizeof value), MPI_BYTE, to, tag, comm_, &message.request);
}

void SnapshotLink::tell(const SnapshotOrder& order) {
  for (int learner = ranks_.first_learner(); learner < ranks_.total(); ++learner) send(learner, kOrderTag, order);
}

const std::vector<SnapshotAnswer>& SnapshotLink::answers(std::int64_t number) {
  int found = 0;
  MPI_Status status;
  while (MPI_Iprobe(MPI_ANY_SOURCE, kAnswerTag, comm_, &found, &status), found) {
    SnapshotAnswer answer;
    MPI_Recv(&answer, sizeof answer, MPI_BYTE, status.MPI_SOURCE, kAnswerTag, comm_, MPI_STATUS_IGNORE);
    answers_.push_back(answer);
  }
  std::erase_if(answers_, [&](const SnapshotAnswer& answer) { return answer.number != number; });
  return answers_;
}

bool SnapshotLink::learner_was_signalled() {
  int found = 0;
  MPI_Status status;
  while (MPI_Iprobe(MPI_ANY_SOURCE, kSignalTag, comm_, &found, &status), found) {
    std::int64_t unused = 0;
    MPI_Recv(&unused, sizeof unused, MPI_BYTE, status.MPI_SOURCE, kSignalTag, comm_, MPI_STATUS_IGNORE);
    signalled_ = true;
  }
  return signalled_;
}

std::optional<SnapshotOrder> SnapshotLink::order() {
  int found = 0;
  MPI_Iprobe(0, kOrderTag, comm_, &found, MPI_STATUS_IGNORE);
  if (!found) return {};
  SnapshotOrder order;
  MPI_Recv(&order, sizeof order, MPI_BYTE, 0, kOrderTag, comm_, MPI_STATUS_IGNORE);
  return order;
}

void SnapshotLink::answer(const SnapshotAnswer& answer) {
  send(0, kAnswerTag, answer);
}

void SnapshotLink::tell_of_signal() {
  if (signalled_) return;
  signalled_ = true;
  send(0, kSignalTag, std::int64_t{1});
}

}  // namespace tramontane
