#include "src/program/watchdog.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"
#include "src/program/emergency.hpp"
#include "src/program/job_sockets.hpp"
#include "src/program/process_state.hpp"

namespace tramontane {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

// s. Long enough for a node that swaps or shares cores, short enough that a job ends within half a minute.
constexpr double kLeaderSeconds = 3, kPlaceSeconds = 5, kSaveSeconds = 15;
constexpr double kUnledSeconds = 20;    // after its order to save, a rank of which nobody hears ends by itself
constexpr double kRemindSeconds = 600;  // between lines about one long wait that is none to end
constexpr double kFlushSeconds = 1;

Watchdog* the_watchdog = nullptr;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Past the buffers of stdio, whose locks the main thread may hold.
void print_now(const std::string& text) {
  for (std::size_t begin = 0; begin < text.size();) {
    const ssize_t written = ::write(STDERR_FILENO, text.data() + begin, text.size() - begin);
    if (written <= 0) return;
    begin += static_cast<std::size_t>(written);
  }
}

[[noreturn]] void end_process(int code) {
  // What the main thread has printed goes out, unless it holds the lock of that stream.
  std::thread([] { std::fflush(nullptr); }).detach();
  std::this_thread::sleep_for(std::chrono::duration<double>(0.1 * kFlushSeconds));
  _exit(code);
}

/// What every process tells all others at the start.
struct Card {
  char host[64] = {};
  std::int32_t process = 0, reserved = 0;
  SocketAddress address;
};

/// A thread that takes no signals: they are the main thread's.
template <class Body>
std::thread quiet_thread(Body body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

class Watchdog::Implementation {
 public:
  explicit Implementation(double deadline) : deadline_(deadline) {
    watch_this_thread();
    meet();
    serving_ = quiet_thread([this] { serve(); });
    watching_ = quiet_thread([this] { watch(); });
  }

  ~Implementation() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    watching_.join();
    serving_.join();
  }

  void know_job(const std::vector<int>& world_ranks, const std::vector<std::string>& roles, int own, double deadline) {
    const std::lock_guard lock(mutex_);
    const std::vector<Card> before = cards_;
    for (std::size_t rank = 0; rank < world_ranks.size(); ++rank) {
      cards_[rank] = before[static_cast<std::size_t>(world_ranks[rank])];
      facts_[rank] = facts_of(cards_[rank], roles[rank]);
    }
    own_ = own;
    deadline_ = deadline;
  }

  void contain(std::vector<int> ranks) {
    const std::lock_guard lock(mutex_);
    contained_ = {ranks.begin(), ranks.end()};
  }

  bool end_job(const std::string& error) {
    {
      const std::lock_guard lock(mutex_);
      own_error_ = error;
    }
    wake_.notify_all();
    const WaitScope wait("the watchdog, which is to end the job", MPI_COMM_NULL, WaitScope::kAll, WaitScope::kOutside);
    const auto begin = Clock::now();
    while (seconds_since(begin) < 2 * (kLeaderSeconds + kPlaceSeconds) + kSaveSeconds + kUnledSeconds)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return false;
  }

 private:
  /// Everybody gets everybody's address, and rank 0's random token.
  void meet() {
    int rank = 0, size = 1, node_size = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm node;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &node_size);
    MPI_Comm_free(&node);
    int one_node = node_size == size ? 1 : 0;
    MPI_Allreduce(MPI_IN_PLACE, &one_node, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    listener_ = std::make_unique<JobListener>(one_node != 0);
    unsigned long long token = (static_cast<unsigned long long>(std::random_device{}()) << 32) ^ std::random_device{}();
    MPI_Bcast(&token, 1, MPI_UNSIGNED_LONG_LONG, 0, MPI_COMM_WORLD);
    token_ = token;
    listener_->set_token(token);
    Card card;
    gethostname(card.host, sizeof card.host - 1);
    card.process = getpid();
    card.address = listener_->address();
    cards_.resize(static_cast<std::size_t>(size));
    MPI_Allgather(&card, sizeof card, MPI_BYTE, cards_.data(), sizeof card, MPI_BYTE, MPI_COMM_WORLD);
    own_ = rank;
    for (const Card& one : cards_) facts_.push_back(facts_of(one, ""));
  }

  static RankFacts facts_of(const Card& card, const std::string& role) { return {role, card.host, card.process}; }

  struct Job {
    std::vector<Card> cards;
    std::vector<RankFacts> facts;
    std::set<int> contained;
    int own;
    double deadline;
  };
  Job job() {
    const std::lock_guard lock(mutex_);
    return {cards_, facts_, contained_, own_, deadline_};
  }

  std::vector<Answer> ask_ranks(const Job& job, const std::vector<int>& ranks, const json& question, double seconds) {
    std::vector<SocketAddress> targets;
    std::vector<bool> same_host;
    for (const int rank : ranks) {
      const Card& card = job.cards[static_cast<std::size_t>(rank)];
      targets.push_back(card.address);
      same_host.push_back(on_own_host(job, rank));
    }
    return ask(targets, same_host, token_, question.dump(), seconds);
  }

  static bool on_own_host(const Job& job, int rank) {
    return job.facts[static_cast<std::size_t>(rank)].host == job.facts[static_cast<std::size_t>(job.own)].host;
  }

  /// The thread that answers others, always and at once.
  void serve() {
    const auto answer = [this](const std::string& question) {
      try {
        return answer_to(json::parse(question)).dump();
      } catch (const json::exception&) {
        return std::string("{}");
      }
    };
    while (!stop_) {
      listener_->serve(0.2, answer);
      if (leave_at_ > 0 && seconds_since(start_) > leave_at_) end_process(kExitRunFailed);
    }
  }

  /// The thread that looks after the main thread, and does what takes its time.
  void watch() {
    double next_alarm = 0;  // s after start_
    std::unique_lock lock(mutex_);
    while (!stop_) {
      const double deadline = deadline_;
      wake_.wait_for(lock, std::chrono::duration<double>(std::clamp(deadline / 20, 0.05, 0.5)));
      if (stop_) return;
      const std::optional<std::string> own_error = std::exchange(own_error_, {}), to_lead = std::exchange(to_lead_, {});
      lock.unlock();
      if (to_lead) lead(*to_lead);
      if (own_error) {
        raise_alarm(*own_error);
      } else if (!is_saving_ && seconds_since(start_) > next_alarm && own_place().is_overdue(deadline)) {
        raise_alarm("");
        next_alarm = seconds_since(start_) + std::max(1.0, deadline / 4);
      }
      lock.lock();
    }
  }

  json answer_to(const json& question) {
    const std::string what = question.value("what", "");
    if (what == "place") return to_json(own_place());
    if (what == "look") {
      std::string states;
      for (const int process : question.at("processes")) states += thread_state(process) ? thread_state(process) : '-';
      return {{"states", states}};
    }
    if (what == "alarm") {
      {
        const std::lock_guard lock(mutex_);
        // An error outweighs the alarm of a rank that waits.
        if (std::string error = question.value("error", ""); !to_lead_ || to_lead_->empty()) to_lead_ = error;
      }
      wake_.notify_all();
      return {{"leads", true}};
    }
    if (what == "save") {
      save_aside();
      return {{"saves", true}};
    }
    if (what == "saved") {
      const std::lock_guard lock(saved_mutex_);
      return {{"done", has_saved_}, {"said", saved_}};
    }
    if (what == "end") {
      std::thread([] { end_process(kExitRunFailed); }).detach();  // the answer goes out first
      return {{"ends", true}};
    }
    return json::object();
  }

  /// Gives the alarm to the first rank that answers, so that one leads, and not all that notice.
  void raise_alarm(const std::string& error) {
    const Job now = job();
    const json alarm = {{"what", "alarm"}, {"error", error}};
    for (int rank = 0; rank < now.own; ++rank)
      if (ask_ranks(now, {rank}, alarm, kLeaderSeconds).front().came) return;
    lead(error);
  }

  /// Asks all ranks, judges, and ends the job if it hangs or if there is an error that ends it.
  void lead(const std::string& error) {
    const Job now = job();
    const std::vector<RankPlace> places = collect(now);
    const HangVerdict verdict = judge(places, now.deadline, now.contained);
    if (verdict.ends || !error.empty()) end_all(now, places, verdict, error);
    if (verdict.why.empty() || (reminded_ && seconds_since(*reminded_) < kRemindSeconds)) return;
    reminded_ = Clock::now();
    print_now(fmt::format("watchdog: a wait is longer than {:g} s, and is no hang: {}\n", now.deadline, verdict.why));
  }

  std::vector<RankPlace> collect(const Job& now) {
    const int ranks = static_cast<int>(now.cards.size());
    std::vector<RankPlace> places(now.cards.size());
    std::vector<int> asked;
    for (int rank = 0; rank < ranks; ++rank)
      if (rank == now.own)
        places[static_cast<std::size_t>(rank)] = own_place();
      else
        asked.push_back(rank);
    std::vector<bool> refused(now.cards.size());
    for (int attempt = 0; attempt < 2 && !asked.empty(); ++attempt) {
      const auto answers = ask_ranks(now, asked, {{"what", "place"}}, kPlaceSeconds);
      std::vector<int> silent;
      for (std::size_t k = 0; k < asked.size(); ++k) {
        const auto rank = static_cast<std::size_t>(asked[k]);
        refused[rank] = answers[k].refused;
        try {
          if (answers[k].came) places[rank] = place_from_json(json::parse(answers[k].text));
        } catch (const json::exception&) {
        }
        if (!places[rank].answers) silent.push_back(asked[k]);
      }
      asked = silent;
    }
    for (int rank = 0; rank < ranks; ++rank)
      if (places[static_cast<std::size_t>(rank)].answers)
        heard_[rank] = Clock::now();
      else if (heard_.count(rank))
        places[static_cast<std::size_t>(rank)].heard_age = seconds_since(heard_[rank]);
    for (const int rank : asked) look_after(now, rank, refused[static_cast<std::size_t>(rank)], places);
    return places;
  }

  /// A silent rank: somebody on its host looks its process up.
  void look_after(const Job& now, int rank, bool refused, std::vector<RankPlace>& places) {
    RankPlace& place = places[static_cast<std::size_t>(rank)];
    const RankFacts& facts = now.facts[static_cast<std::size_t>(rank)];
    place.found = refused ? "its process is gone" : "nobody on its node answers: the node or its network may be gone";
    if (on_own_host(now, rank)) {
      place.found = silence_text(thread_state(facts.process));
      return;
    }
    for (std::size_t other = 0; other < places.size(); ++other) {
      if (!places[other].answers || now.facts[other].host != facts.host) continue;
      const auto answers =
          ask_ranks(now, {static_cast<int>(other)}, {{"what", "look"}, {"processes", std::vector<int>{facts.process}}},
                    kLeaderSeconds);
      try {
        if (!answers.front().came) continue;
        const std::string state = json::parse(answers.front().text).value("states", "");
        if (state.empty()) continue;
        place.found = silence_text(state.front() == '-' ? '\0' : state.front());
        return;
      } catch (const json::exception&) {
      }
    }
  }

  [[noreturn]] void end_all(const Job& now, const std::vector<RankPlace>& places, const HangVerdict& verdict,
                            const std::string& error) {
    std::string text =
        error.empty() ? fmt::format("watchdog: the job has not got on for {:g} s. Where its ranks are:\n", now.deadline)
                      : std::string("watchdog: an error ends the job. Where its ranks are:\n");
    print_now(text + picture_text(places, now.facts));
    print_now(save_all(now, places));
    std::string reason = error.empty() ? verdict.why : error;
    if (!error.empty()) {
      for (std::size_t rank = 0; rank < places.size(); ++rank)
        if (!places[rank].answers) reason += fmt::format("; rank {} does not answer: {}", rank, places[rank].found);
    } else {
      for (const int rank : verdict.culprits) {
        const auto k = static_cast<std::size_t>(rank);
        const RankFacts& f = now.facts[k];
        reason += fmt::format("; rank {} is{} process {} on {}{}", rank, f.role.empty() ? "" : " a " + f.role + ",",
                              f.process, f.host, places[k].found.empty() ? "" : " (" + places[k].found + ")");
        if (rank != verdict.culprits.front()) break;  // two as examples
      }
    }
    print_now(fmt::format("tramontane: error: {}{}\n", error.empty() ? "the job hangs: " : "", reason));
    std::vector<int> others;
    for (int rank = 0; rank < static_cast<int>(places.size()); ++rank)
      if (rank != now.own && places[static_cast<std::size_t>(rank)].answers) others.push_back(rank);
    ask_ranks(now, others, {{"what", "end"}}, kLeaderSeconds);
    end_process(kExitRunFailed);
  }

  /// All ranks that answer save; what they said.
  std::string save_all(const Job& now, const std::vector<RankPlace>& places) {
    std::vector<int> waited;
    for (int rank = 0; rank < static_cast<int>(places.size()); ++rank)
      if (rank != now.own && places[static_cast<std::size_t>(rank)].answers) waited.push_back(rank);
    save_aside();
    ask_ranks(now, waited, {{"what", "save"}}, kLeaderSeconds);
    std::vector<std::pair<std::string, std::vector<int>>> saved;  // what several say alike is printed once
    const auto note = [&](int rank, const std::vector<std::string>& said) {
      for (const std::string& one : said) {
        auto at = std::find_if(saved.begin(), saved.end(), [&](const auto& other) { return other.first == one; });
        if (at == saved.end()) at = saved.insert(saved.end(), {one, {}});
        at->second.push_back(rank);
      }
    };
    bool own_done = false;
    const auto begin = Clock::now();
    while (seconds_since(begin) < kSaveSeconds && !(own_done && waited.empty())) {
      {
        const std::lock_guard lock(saved_mutex_);
        if (has_saved_ && !own_done) {
          own_done = true;
          note(now.own, saved_);
        }
      }
      const auto answers = ask_ranks(now, waited, {{"what", "saved"}}, kLeaderSeconds);
      std::vector<int> unfinished;
      for (std::size_t k = 0; k < waited.size(); ++k) {
        const json said = answers[k].came ? json::parse(answers[k].text, nullptr, false) : json();
        if (!said.is_object() || !said.value("done", false))
          unfinished.push_back(waited[k]);
        else
          note(waited[k], said.value("said", std::vector<std::string>{}));
      }
      waited = unfinished;
      if (!own_done || !waited.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    std::string text;
    for (auto& [what, ranks] : saved) {
      std::sort(ranks.begin(), ranks.end());
      text += fmt::format("watchdog: saved by rank{} {}: {}\n", ranks.size() > 1 ? "s" : "", rank_list(ranks), what);
    }
    for (const int rank : waited)
      text += fmt::format("watchdog: rank {} did not save within {:g} s\n", rank, kSaveSeconds);
    return text;
  }

  /// In a thread of its own, since a disk may hang; and the process ends in any case.
  void save_aside() {
    if (is_saving_.exchange(true)) return;
    leave_at_ = seconds_since(start_) + kSaveSeconds + kUnledSeconds;
    quiet_thread([this] {
      std::vector<std::string> said = save_in_emergency();
      const std::lock_guard lock(saved_mutex_);
      saved_ = std::move(said);
      has_saved_ = true;
    }).detach();
  }

  std::mutex mutex_;  // of what follows
  std::vector<Card> cards_;
  std::vector<RankFacts> facts_;
  std::set<int> contained_;
  int own_ = 0;
  double deadline_;
  std::optional<std::string> own_error_, to_lead_;  // for watch(); an empty text: somebody waits too long
  std::condition_variable wake_;

  const Clock::time_point start_ = Clock::now();
  std::unique_ptr<JobListener> listener_;
  std::uint64_t token_ = 0;
  std::thread serving_, watching_;
  std::atomic<bool> stop_{false}, is_saving_{false};
  std::atomic<double> leave_at_{0};  // s after start_
  std::optional<Clock::time_point> reminded_;
  std::map<int, Clock::time_point> heard_;  // when a rank last answered this one, the watching thread's

  std::mutex saved_mutex_;
  bool has_saved_ = false;
  std::vector<std::string> saved_;
};

Watchdog::Watchdog(double deadline_seconds) : implementation_(std::make_unique<Implementation>(deadline_seconds)) {
  the_watchdog = this;
}

Watchdog::~Watchdog() {
  the_watchdog = nullptr;
}

void Watchdog::know_job(const std::vector<int>& world_ranks, const std::vector<std::string>& roles, int own_rank,
                        double deadline_seconds) {
  implementation_->know_job(world_ranks, roles, own_rank, deadline_seconds);
}

void Watchdog::contain(std::vector<int> ranks) {
  implementation_->contain(std::move(ranks));
}

bool Watchdog::end_job(const std::string& error) {
  return implementation_->end_job(error);
}

Watchdog* watchdog() {
  return the_watchdog;
}

}  // namespace tramontane
