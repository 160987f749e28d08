// The stream against what else could carry samples, for scripts/bench stream, in JSON lines. On two ranks: rank 0 is
// the solver, rank 1 the learner.
//   bandwidth  frames through the stream, by shared memory and by messages, beside plain MPI_Send of as many bytes and
//              beside files on disk, in turns
//   slowdown   the teaching of a deck with and without the stream, in turns, while the learner trains on its own core
//   soak       many frames into a reservoir that is drawn from: memory and ledger
#include <fcntl.h>
#include <mpi.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <Kokkos_Core.hpp>
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <thread>

#include "ml/counter_random.hpp"
#include "ml/reservoir.hpp"
#include "ml/trainer.hpp"
#include "physics/elliptic/petsc_session.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/teacher.hpp"
#include "src/deck/deck.hpp"
#include "src/deck/network_spec.hpp"
#include "src/stream/stream.hpp"

namespace tramontane {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string what = "bandwidth", folder = "/tmp", deck, policy = "drop_oldest";
  int n = 96, rounds = 15, queue = 4, credits = 2;
  std::int64_t frames = 10000;
  double megabytes = 1024;  ///< that a round sends
};

bool is_solver() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank == 0;
}
void print(const Json& line) {
  if (is_solver()) std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}
double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}
double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}
/// Resident memory of this process, without pages that are shared (the queue), bytes.
std::int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::int64_t size = 0, resident = 0, shared = 0;
  in >> size >> resident >> shared;
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}
/// A number of rank 1, on rank 0.
double from_learner(double value) {
  MPI_Bcast(&value, 1, MPI_DOUBLE, 1, MPI_COMM_WORLD);
  return value;
}

/// Fields of one sample on the whole sphere, and pointers to them.
struct Fields {
  std::vector<std::vector<float>> variables;
  std::vector<const float*> pointers;

  explicit Fields(const Tiling& g) {
    std::uint64_t draw = 0;
    for (std::size_t v = 0; v < FrameLayout::variable_count(); ++v) {
      variables.emplace_back(g.cell_count());
      for (float& x : variables.back())
        x = static_cast<float>(index_at(5, RandomStream::self_test, draw++, 1 << 20)) * 1e-3f;
    }
    for (const auto& list : variables) pointers.push_back(list.data());
  }
};

StreamRoles roles() {
  return {{0}, {1}};
}
StreamOptions options(const Arguments& a, WhenFull policy, bool share_memory, int keep) {
  StreamOptions o;
  o.queue = a.queue;
  o.credits = a.credits;
  o.when_full = policy;
  o.share_memory = share_memory;
  o.keep = keep;
  o.run_id = "bench";
  return o;
}

/// The two ends of a stream, of which a rank has one.
struct Ends {
  std::unique_ptr<StreamProducer> producer;
  std::unique_ptr<StreamConsumer> consumer;

  Ends(const Tiling& g, const StreamOptions& o) {
    if (is_solver())
      producer = std::make_unique<StreamProducer>(MPI_COMM_WORLD, roles(), g, o);
    else
      consumer = std::make_unique<StreamConsumer>(MPI_COMM_WORLD, roles(), g, o);
  }
  Ledger finish() { return producer ? producer->finish() : consumer->finish(); }
};

/// Seconds from the first frame's start to the last frame's end at the learner.
class Bandwidth {
 public:
  explicit Bandwidth(const Arguments& a)
      : a_(a),
        g_(a.n, 1, 1),
        fields_(g_),
        image_(FrameLayout{g_, 0, "bench"}),
        reader_(FrameLayout{g_, 0, "bench"}),
        shared_(g_, options(a, WhenFull::block, true, 1)),
        messages_(g_, options(a, WhenFull::block, false, 0)),
        frame_(image_.bytes().size()),
        count_(std::max<int>(8, static_cast<int>(1e6 * a.megabytes / static_cast<double>(frame_)))),
        received_(frame_) {
    image_.patch({}, fields_.pointers);
    sample_.n = a.n;
    sample_.input.resize(sample_inputs().size() * static_cast<std::size_t>(g_.cell_count()));
    sample_.target.resize(sample_targets().size() * static_cast<std::size_t>(g_.cell_count()));
    if (shared_.consumer) is_kept_ = shared_.consumer->lend(kept_);
  }

  void run() {
    struct Way {
      const char* name;
      int frames;
      std::function<void(int)> go;
      std::vector<double> rate, processor;  ///< bytes a second; processor seconds of both ranks a byte
    };
    const int few = std::max(2, count_ / 8);  // a disk is slow
    std::vector<Way> ways = {
        {"mpi_send", count_, [&](int k) { send(k, false); }, {}, {}},
        {"mpi_send_touched", count_, [&](int k) { send(k, true); }, {}, {}},
        {"stream_kept", count_, [&](int k) { stream(shared_, k, false, kept_); }, {}, {}},
        {"stream_kept_filled", count_, [&](int k) { stream(shared_, k, true, kept_); }, {}, {}},
        {"stream_shared", count_, [&](int k) { stream(shared_, k, false, sample_); }, {}, {}},
        {"stream_shared_filled", count_, [&](int k) { stream(shared_, k, true, sample_); }, {}, {}},
        {"stream_messages", count_, [&](int k) { stream(messages_, k, false, sample_); }, {}, {}},
        {"files_page_cache", count_, [&](int k) { files(k, false); }, {}, {}},
        {"files_fsync", few, [&](int k) { files(k, true); }, {}, {}},
    };
    for (int round = -1; round < a_.rounds; ++round)  // the first warms up
      for (Way& way : ways) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double began = MPI_Wtime(), worked = processor_seconds();
        way.go(round < 0 ? std::min(way.frames, 16) : way.frames);
        MPI_Barrier(MPI_COMM_WORLD);
        const double seconds = MPI_Wtime() - began;
        double processor = processor_seconds() - worked;
        MPI_Allreduce(MPI_IN_PLACE, &processor, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
        if (round < 0) continue;
        const double bytes = static_cast<double>(frame_) * way.frames;
        way.rate.push_back(bytes / seconds);
        way.processor.push_back(processor / bytes);
      }
    const Ledger a = shared_.finish(), b = messages_.finish();
    const double is_shared = from_learner(shared_.consumer ? shared_.consumer->sharing_solvers() : 0),
                 is_kept = from_learner(is_kept_ ? 1 : 0);
    Json line = {{"record", "bandwidth"},
                 {"n", a_.n},
                 {"frame_bytes", frame_},
                 {"frames_a_round", count_},
                 {"rounds", a_.rounds},
                 {"queue", a_.queue},
                 {"is_shared", is_shared > 0},
                 {"is_kept", is_kept > 0},
                 {"delivered", a.delivered + b.delivered}};
    for (const Way& way : ways) {
      std::vector<double> ratio;
      for (std::size_t k = 0; k < way.rate.size(); ++k) ratio.push_back(way.rate[k] / ways.front().rate[k]);
      line["ways"][way.name] = {{"bytes_per_second", median(way.rate)},
                                {"of_mpi_send", median(ratio)},
                                {"processor_seconds_per_gb", 1e9 * median(way.processor)}};
    }
    print(line);
  }

 private:
  /// Plain messages of a frame's bytes from memory that is filled and warm; touched: the sender fills the buffer from
  /// the solver's fields and the learner copies them into a sample, which whoever streams samples has to do at least.
  void send(int count, bool touched) {
    for (int k = 0; k < count; ++k) {
      if (is_solver()) {
        if (touched)
          for (std::size_t v = 0; v < fields_.pointers.size(); ++v)
            std::memcpy(image_.bytes().data() + image_.map().payload[v], fields_.pointers[v],
                        image_.layout().variable_bytes());
        MPI_Send(image_.bytes().data(), static_cast<int>(frame_), MPI_BYTE, 1, 1, MPI_COMM_WORLD);
      } else {
        MPI_Recv(received_.data(), static_cast<int>(frame_), MPI_BYTE, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        if (touched) reader_.scatter(received_, sample_);
      }
    }
  }

  /// From the solver's side to a checked sample. Not filled: as with MPI_Send alone, the bytes are where they are sent
  /// from (which the rounds before have filled), and the learner has the numbers: where the solver wrote them, if the
  /// sample lies in the stream's memory, or a copy.
  void stream(Ends& ends, int count, bool filled, Sample& sample) {
    const auto lies_there = [](std::span<float* const>) {};
    for (int k = 0; k < count; ++k) {
      if (ends.producer && filled)
        ends.producer->push({number_++, 0, 0, 198001, 0}, fields_.pointers);
      else if (ends.producer)
        ends.producer->push({number_++, 0, 0, 198001, 0}, lies_there);
      else if (!ends.consumer->wait(sample))
        throw RunError("the stream ended early");
    }
    if (ends.producer) ends.producer->drain();
  }

  /// A frame a file: written under another name, renamed, polled for, read, checked, removed. As many files at a time
  /// as the stream's queue holds.
  void files(int count, bool sync) {
    namespace fs = std::filesystem;
    auto path = [&](int k) { return a_.folder + "/bench-frame-" + std::to_string(k); };
    for (int k = 0; k < count; ++k) {
      Backoff backoff;
      if (is_solver()) {
        image_.patch({{k, 0, 0, 198001, 0}}, fields_.pointers);
        while (k >= a_.queue && fs::exists(path(k - a_.queue))) backoff.pause();
        const std::string aside = a_.folder + "/bench-frame.partial";
        const int file = open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
        std::size_t done = 0;
        while (done < frame_) {
          const ssize_t wrote = write(file, image_.bytes().data() + done, frame_ - done);
          if (wrote <= 0) throw RunError("cannot write " + aside);
          done += static_cast<std::size_t>(wrote);
        }
        if (sync && fsync(file) != 0) throw RunError("cannot bring " + aside + " to the disk");
        close(file);
        fs::rename(aside, path(k));
      } else {
        int file = -1;
        while ((file = open(path(k).c_str(), O_RDONLY)) < 0) backoff.pause();
        std::size_t done = 0;
        while (done < frame_) {
          const ssize_t got = read(file, received_.data() + done, frame_ - done);
          if (got <= 0) throw RunError("cannot read " + path(k));
          done += static_cast<std::size_t>(got);
        }
        close(file);
        if (!reader_.check(received_, k, &sample_).good()) throw RunError("a frame's file is not good");
        fs::remove(path(k));
      }
    }
  }

  const Arguments& a_;
  Tiling g_;
  Fields fields_;
  FrameImage image_;
  FrameReader reader_;
  Ends shared_, messages_;
  std::size_t frame_;
  int count_;
  std::vector<std::byte> received_;
  Sample sample_, kept_;  ///< with memory of its own, and in that of the stream
  bool is_kept_ = false;
  std::int64_t number_ = 0;
};

constexpr int kSoakCapacity = 64, kPupilCapacity = 256;  // of the reservoir, samples

/// What a learner does all day: takes in what there is, keeps it in a reservoir of fixed memory, draws batches.
class Pupil {
 public:
  Pupil(const Tiling& g, StreamConsumer& consumer, int capacity)
      : reservoir_({.capacity = static_cast<std::size_t>(capacity),
                    .validation_capacity = static_cast<std::size_t>(capacity / 8),
                    .watermark = 16,
                    .seed = 3}) {
    for (int k = 0; k < samples(capacity); ++k) {
      free_.push_back(std::make_unique<Sample>());
      if (consumer.lend(*free_.back())) continue;
      free_.back()->input.resize(sample_inputs().size() * static_cast<std::size_t>(g.cell_count()));
      free_.back()->target.resize(sample_targets().size() * static_cast<std::size_t>(g.cell_count()));
    }
  }
  /// That it holds at most.
  static int samples(int capacity) { return capacity + capacity / 8 + 1; }
  /// One sample, if there is one and room for it.
  bool take(StreamConsumer& consumer) {
    if (!held_) {
      if (!consumer.poll(*free_.back())) return false;
      held_ = std::move(free_.back());
      free_.pop_back();
    }
    if (!reservoir_.add(held_)) return false;
    if (held_) free_.push_back(std::move(held_));
    return true;
  }
  Reservoir& reservoir() { return reservoir_; }

 private:
  Reservoir reservoir_;
  std::vector<std::unique_ptr<Sample>> free_;
  std::unique_ptr<Sample> held_;
};

void soak(const Arguments& a) {
  const Tiling g(a.n, 1, 1);
  Fields fields(g);
  Ends ends(g, options(a, parse_when_full(a.policy), true, Pupil::samples(kSoakCapacity)));
  std::vector<std::int64_t> memory;  // at each twentieth of the way
  double sum = 0;
  const double began = MPI_Wtime();
  std::int64_t reused = 0, evicted = 0;
  if (ends.producer) {
    for (std::int64_t k = 0; k < a.frames; ++k) {
      // Bursts and pauses from a seed, so that the queue is full at times and empty at others.
      if (k % 64 == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(
            static_cast<long>(index_at(7, RandomStream::self_test, static_cast<std::uint64_t>(k), 12))));
      ends.producer->push(
          {k, static_cast<std::int32_t>(k / 72), k % 12 == 0 ? 1 : 0, 198001, 3600.0 * static_cast<double>(k)},
          fields.pointers);
      if ((k + 1) % std::max<std::int64_t>(1, a.frames / 20) == 0) memory.push_back(resident_bytes());
    }
  } else {
    Pupil pupil(g, *ends.consumer, kSoakCapacity);
    std::int64_t taken = 0, next = 0;
    Backoff backoff;
    while (!ends.consumer->finished()) {
      if (!pupil.take(*ends.consumer)) {
        if (pupil.reservoir().unseen() == 0) {
          backoff.pause();
          continue;
        }
      } else {
        ++taken;
        backoff = Backoff();
      }
      if (taken % 4 == 0 && pupil.reservoir().ready())
        for (const Sample* s : pupil.reservoir().draw(16))
          for (std::size_t k = 0; k < s->input.size(); k += 16) sum += s->input[k];
      if (taken * 20 / a.frames >= next) {
        memory.push_back(resident_bytes());
        ++next;
      }
      if (taken % 512 == 511) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    memory.push_back(resident_bytes());
    reused = pupil.reservoir().drawn();
    evicted = pupil.reservoir().evicted();
  }
  const double stall = ends.producer ? ends.producer->stalls().room : 0;
  const std::size_t queue = ends.producer ? ends.producer->queue_bytes() : 0;
  const Ledger ledger = ends.finish();
  const double seconds = MPI_Wtime() - began;
  auto growth = [&](const std::vector<std::int64_t>& m) {
    const auto settled = m.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, m.size() - 1));
    return std::pair(static_cast<double>(*settled), static_cast<double>(*std::max_element(settled, m.end())));
  };
  const auto [here_start, here_most] = growth(memory);
  const double learner_start = from_learner(here_start), learner_most = from_learner(here_most),
               drawn = from_learner(static_cast<double>(reused)), gone = from_learner(static_cast<double>(evicted)),
               check = from_learner(sum);
  print({{"record", "soak"},
         {"n", a.n},
         {"policy", a.policy},
         {"frame_bytes", FrameImage(FrameLayout{g, 0, "bench"}).bytes().size()},
         {"queue_bytes", queue},
         {"seconds", seconds},
         {"produced", ledger.produced},
         {"delivered", ledger.delivered},
         {"dropped", ledger.dropped},
         {"rejected", ledger.rejected},
         {"in_flight", ledger.in_flight},
         {"bytes", ledger.bytes},
         {"is_closed", ledger.closed()},
         {"room_seconds", stall},
         {"drawn", drawn},
         {"evicted", gone},
         {"sum", check},
         {"solver_bytes", here_start},
         {"solver_most_bytes", here_most},
         {"learner_bytes", learner_start},
         {"learner_most_bytes", learner_most}});
}

/// What the solver tells the learner to do from now on.
enum class Order : int { train, sleep, end };

/// Trains without end on what has arrived, on its own core.
void learn_meanwhile(const Deck& deck, StreamConsumer& consumer, const Tiling& coarse) {
  Pupil pupil(coarse, consumer, kPupilCapacity);
  const int n = coarse.n;
  MPI_Comm alone;
  MPI_Comm_dup(MPI_COMM_SELF, &alone);
  {
    const StaticFields statics = surrogate_statics(n);
    TrainerOptions trainer_options;
    trainer_options.optimiser.total_steps = 1000000;
    Trainer trainer(network_spec(deck, n, statics.variables.size()), trainer_options, statics, alone,
                    name_of(deck.surrogate.backend));
    bool is_scaled = false;
    for (Order order = Order::train; order != Order::end;) {
      int asked = 0;
      MPI_Iprobe(0, 7, MPI_COMM_WORLD, &asked, MPI_STATUS_IGNORE);
      if (asked) MPI_Recv(&order, sizeof order, MPI_BYTE, 0, 7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      while (pupil.take(consumer)) {
      }
      if (order == Order::sleep || !pupil.reservoir().ready()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      if (!is_scaled) {
        NormaliserStatistics statistics(statics.area, static_cast<int>(sample_inputs().size()),
                                        static_cast<int>(sample_targets().size()));
        for (const Sample* s : pupil.reservoir().samples()) statistics.add(*s);
        trainer.set_normaliser(statistics.finish(kBoundFactor));
        is_scaled = true;
      }
      trainer.step(pupil.reservoir().draw(static_cast<std::size_t>(deck.learner.batch)));
    }
  }
  MPI_Comm_free(&alone);
}

void slowdown(const Arguments& a) {
  const PetscSession petsc;  // of all ranks
  Deck deck = read_deck(a.deck);
  deck.teach.months.resize(1);
  deck.teach.validation.clear();
  deck.teach.days = 1;
  const Tiling coarse(deck.surrogate.coarse_n, deck.grid.tiles_per_edge, 1);
  MPI_Comm role;
  MPI_Comm_split(MPI_COMM_WORLD, is_solver() ? 0 : 1, 0, &role);
  Ends ends(coarse, options(a, parse_when_full(a.policy), true, Pupil::samples(kPupilCapacity)));
  if (ends.consumer) {
    learn_meanwhile(deck, *ends.consumer, coarse);
    ends.consumer->finish();
    return;
  }
  const Month month = deck.teach_months().front();
  SolverPair pair(deck, role, month);
  std::int64_t number = 0;
  bool is_on = false;
  SampleTiles sample(pair.coarse().solver(), deck.stream.deadline);
  TeachHooks hooks;
  hooks.started = hooks.finished = [](int) {};
  hooks.deliver = [&] {
    if (!is_on) return;
    SampleInfo info = sample.info;
    info.number = number++;
    if constexpr (kHostReadsKernelMemory)
      ends.producer->push(info, [&](std::span<float* const> variables) { sample.write(variables); });
    else
      ends.producer->push(info, sample.on_host());
  };
  hooks.between = [&] {
    if (is_on) ends.producer->progress();
  };
  auto order = [](Order what) { MPI_Send(&what, sizeof what, MPI_BYTE, 1, 7, MPI_COMM_WORLD); };
  struct Case {
    const char* name;
    bool on;
    Order learner;
    std::vector<double> wall, processor;
  };
  std::vector<Case> cases = {{"alone", false, Order::sleep, {}, {}},
                             {"training", false, Order::train, {}, {}},
                             {"streaming", true, Order::train, {}, {}}};
  for (int round = -1; round < a.rounds; ++round)  // the first warms up, and gives the learner samples
    for (Case& c : cases) {
      order(c.learner);
      is_on = c.on || round < 0;
      const double began = MPI_Wtime(), worked = processor_seconds();
      teach(deck, pair, sample, hooks, false);
      if (round < 0) continue;
      c.wall.push_back(MPI_Wtime() - began);
      c.processor.push_back(processor_seconds() - worked);
    }
  const StreamProducer::Stalls stalls = ends.producer->stalls();
  order(Order::train);
  ends.producer->drain();
  order(Order::end);
  const Ledger ledger = ends.producer->finish();
  Json line = {{"record", "slowdown"},
               {"deck", a.deck},
               {"n", deck.grid.n},
               {"coarse_n", deck.surrogate.coarse_n},
               {"samples", samples_per_lesson(deck)},
               {"rounds", a.rounds},
               {"policy", a.policy},
               {"agreement_seconds", stalls.agreement},
               {"room_seconds", stalls.room},
               {"delivered", ledger.delivered},
               {"dropped", ledger.dropped}};
  for (const Case& c : cases)
    line["cases"][c.name] = {{"wall_seconds", median(c.wall)}, {"processor_seconds", median(c.processor)}};
  auto ratio = [](const std::vector<double>& x, const std::vector<double>& y) {
    std::vector<double> all;
    for (std::size_t k = 0; k < x.size(); ++k) all.push_back(x[k] / y[k]);
    return median(all);
  };
  line["slowdown_wall"] = ratio(cases[2].wall, cases[1].wall) - 1;
  line["slowdown_processor"] = ratio(cases[2].processor, cases[1].processor) - 1;
  line["slowdown_by_training_wall"] = ratio(cases[1].wall, cases[0].wall) - 1;
  print(line);
}

}  // namespace
}  // namespace tramontane

int main(int argc, char** argv) {
  tramontane::Arguments a;
  CLI::App app("Speed and steadiness of the stream, on two ranks");
  app.add_option("what", a.what, "bandwidth, slowdown or soak");
  app.add_option("--n", a.n, "cells along a panel edge of the samples' grid");
  app.add_option("--rounds", a.rounds, "turns of all ways");
  app.add_option("--megabytes", a.megabytes, "sent in a round, of each way");
  app.add_option("--queue", a.queue, "frames a solver rank may have under way");
  app.add_option("--credits", a.credits, "frames on the way to the learner");
  app.add_option("--folder", a.folder, "where frames lie that are exchanged through files");
  app.add_option("--frames", a.frames, "of the soak");
  app.add_option("--policy", a.policy, "of soak and slowdown: block, drop_oldest or drop_newest");
  app.add_option("--deck", a.deck, "what is taught");
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  int code = 0, ranks = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  {
    Kokkos::ScopeGuard kokkos(argc, argv);
    try {
      if (ranks != 2) throw tramontane::InputError("run it on two ranks: mpirun -n 2");
      if (a.what == "bandwidth")
        tramontane::Bandwidth(a).run();
      else if (a.what == "slowdown")
        tramontane::slowdown(a);
      else if (a.what == "soak")
        tramontane::soak(a);
      else
        throw tramontane::InputError("'" + a.what + "' is none of bandwidth, slowdown and soak");
    } catch (const std::exception& e) {
      std::fprintf(stderr, "error: %s\n", e.what());
      code = 2;
    }
  }
  if (code) MPI_Abort(MPI_COMM_WORLD, code);
  MPI_Finalize();
}
