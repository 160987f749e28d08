/// The deck: everything a user can choose, as plain structs that mirror the sections of the YAML file.
///
/// The values written here are the defaults. Names, units, meanings and limits stand in src/deck/keys.cpp, from which
/// reading, the dump of the resolved deck and the help all come. Lengths of time are in seconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "physics/tracer_options.hpp"
#include "src/deck/month.hpp"
#include "src/stream/when_full.hpp"

namespace tramontane {

enum class InitialCase { williamson1, williamson2, williamson5, williamson6, galewsky, lauter, rest, winds };
enum class Relief { etopo, random };
enum class SurrogateKind { correction, emulator, none };
enum class SurrogateBackend { onednn, cudnn, reference, stub };
enum class SampleOrder { stream, shuffled };
enum class BadSamples { refuse, skip };
enum class UnfinishedArchives { refuse, read };
enum class WhenLost { go_on, stop };
enum class RankPlacement { automatic, packed, spread };

struct GridDeck {
  int n = 48;
  int tiles_per_edge = 1;
};
struct HelmholtzDeck {
  std::string solver = "chebyshev";
  std::string preconditioner = "none";
  double tolerance = 1e-3;
  int iterations = 200;
  std::string petsc_options = "none";
};
struct PhysicsDeck {
  std::string model = "shallow_water";
  std::string integrator = "ssprk3";
  int reconstruction = 5;
  std::string riemann = "lmars";
  double viscosity = 0;  ///< m2 s-1
  HelmholtzDeck helmholtz;
};
struct InitialDeck {
  InitialCase kind = InitialCase::winds;  ///< key initial.case
  Month month{1983, 1};
  double alpha_deg = 0;
  bool perturbed = true;  ///< case galewsky: the bump that sets the instability off
  Relief relief = Relief::etopo;
  std::int64_t seed = 1;      ///< of the random relief
  double mean_depth = 8000;   ///< m
  double layer_factor = 3.0;  ///< wind of the layer over wind at the surface
  int smoothing = 4;          ///< passes of smoothing of the relief
};
struct TracerDeck {
  TracerLimiter limiter = TracerLimiter::global;
};
struct DataDeck {
  std::string winds = "/usr/share/ferret-vis/data/monthly_navy_winds.cdf";
  std::string relief = "/usr/share/ferret-vis/data/etopo20.cdf";
};
struct TimeDeck {
  double days = 5;
  std::optional<double> cfl;  ///< empty: the integrator's own choice
  std::optional<double> dt;  ///< s; empty: from the Courant number
};
struct RanksDeck {
  std::optional<int> solver;   ///< empty: chosen from the ranks there are
  std::optional<int> learner;  ///< empty: chosen from the ranks there are
  RankPlacement placement = RankPlacement::automatic;
  std::vector<int> learner_ranks;  ///< MPI's numbers; empty: chosen as `placement` says
};
struct TeachDeck {
  std::vector<Month> months;      ///< empty: initial.month (see teach_months)
  std::vector<Month> validation;  ///< streamed, never trained on
  double days = 3;
};
struct StreamDeck {
  double every = 3600;  ///< s
  int queue = 8;
  WhenFull when_full = WhenFull::block;
  std::optional<std::string> archive;
  double deadline = 300;  ///< s
};
struct ExchangeDeck {
  std::optional<std::string> dir;  ///< empty: both roles are in one job
  double silence = 60;             ///< s
  double wait = 600;               ///< s
  double final_wait = 3600;        ///< s
};
struct NetworkDeck {
  std::string type = "unet";
  int width = 32;
  int levels = 3;
  int blocks = 6;
  std::vector<int> dilations = {1, 2, 4};
  int expansion = 2;
  std::string norm = "none";
  int groups = 4;
  std::string kernels = "shared";
};
struct SurrogateDeck {
  SurrogateKind kind = SurrogateKind::correction;
  SurrogateBackend backend = SurrogateBackend::onednn;
  int coarse_n = 24;
  double interval = 3600;  ///< s
  std::optional<std::string> model;
  NetworkDeck network;
};
struct GuardDeck {
  std::string mode = "on";  ///< on or off
  double threshold = 3, cutoff = 4;
};
struct LearnerDeck {
  std::vector<std::string> archives;  ///< paths and patterns
  BadSamples bad_samples = BadSamples::refuse;
  UnfinishedArchives unfinished = UnfinishedArchives::refuse;
  std::vector<std::string> validation{"archive"};  ///< that word, a share, or months (see HeldOutRule)
  SampleOrder order = SampleOrder::stream;
  std::optional<std::string> replay;  ///< record of deliveries (order stream)
  int read_ahead = 256;               ///< samples
  int batch = 16;
  int steps = 2000;
  int epochs = 0;  ///< 0: training is as long as steps says
  double learning_rate = 1e-3;
  double weight_decay = 0.01;
  int warmup = 100;
  double clip = 1.0;
  double ema = 0.999;
  int reservoir = 4096;
  int watermark = 64;
  double drift_warning = 0.5;  ///< standard deviations, see DriftReport
  int validate_every = 200;
  int patience = 0;  ///< validations; 0: no early stop
  std::vector<int> rollout;   ///< coupling intervals of each stage of the fine-tuning; empty: none
  int rollout_steps = 200;    ///< of each stage
  double rollout_rate = 0.1;  ///< of learning_rate
  std::optional<double> checkpoint_minutes = 10;  ///< of wall clock; empty: none while training
  std::string resume = "none";                    ///< none or auto
  std::string precision = "f32";
  std::int64_t seed = 1;
  bool deterministic = false;
  std::string model = "model.h5";
  WhenLost when_lost = WhenLost::go_on;
};
/// How new weights are let into the solver (docs/design/weights.md).
struct GateDeck {
  int every = 200;            ///< training steps; 0: the last weights alone
  double hours = 24;          ///< of a shadow forecast; 0: none
  int cases = 2;              ///< shadow forecasts a version
  bool live = true;           ///< a live hybrid beside the lessons
  double margin = 1.5;        ///< error of the live hybrid over that of the coarse solver alone
  double patience = 6;        ///< h
  double fallback_limit = 0.5;
  int keep = 3;               ///< versions
};
struct ForecastDeck {
  std::vector<Month> starts{{1991, 1}, {1992, 7}};
  double days = 5;
  int members = 1;
};
struct CheckpointDeck {
  std::optional<double> every;    ///< s; 0: none by model time; empty: auto (see Deck::checkpoint_every)
  std::optional<double> minutes;  ///< of wall clock; empty: none by wall clock
  int keep = 2;
  std::string resume = "none";  ///< none, auto or a path
};
struct OutputDeck {
  std::string dir = "runs/quickstart";
  double every = 6 * 3600;  ///< s
  double latlon = 2.5;      ///< degrees; 0: none
  bool plots = true;
  bool onnx = false;  ///< the trained model as model.onnx beside model.h5
};

struct Deck {
  GridDeck grid;
  PhysicsDeck physics;
  InitialDeck initial;
  TracerDeck tracer;
  DataDeck data;
  TimeDeck time;
  RanksDeck ranks;
  TeachDeck teach;
  StreamDeck stream;
  ExchangeDeck exchange;
  SurrogateDeck surrogate;
  GuardDeck guard;
  LearnerDeck learner;
  GateDeck gate;
  ForecastDeck forecast;
  OutputDeck output;
  CheckpointDeck checkpoint;

  /// The file the deck was read from, as given by the user; empty for defaults.
  std::string file;
  /// Where each key that is not at its default was set: "deck.yaml:12" or "--set".
  std::map<std::string, std::string> origin;

  /// "deck.yaml:12: " for a key that was set, "" for a default: the start of a message about it.
  std::string where(const std::string& key) const;
  /// The start months that the coupled run teaches from: teach.months, or initial.month when that is empty.
  std::vector<Month> teach_months() const;
  /// Model time between checkpoints, s: checkpoint.every, where auto is a day for a solver-only run and none for a
  /// coupled one; empty for none.
  std::optional<double> checkpoint_every() const;
  /// Whether a coupled run takes snapshots: some key of `checkpoint` asks for it.
  bool takes_snapshots() const;
};

/// Names as decks write them, for reports and file attributes.
const char* name_of(InitialCase value);
const char* name_of(Relief value);
const char* name_of(TracerLimiter value);
const char* name_of(WhenFull value);
const char* name_of(SurrogateKind value);
const char* name_of(SurrogateBackend value);
const char* name_of(SampleOrder value);
const char* name_of(BadSamples value);
const char* name_of(UnfinishedArchives value);
const char* name_of(WhenLost value);
const char* name_of(RankPlacement value);

/// Reads a deck from YAML text. `file` names it in messages. `overrides` are "key=value", applied afterwards.
/// Throws InputError with file, line, key and what was expected.
Deck parse_deck(const std::string& text, const std::string& file, const std::vector<std::string>& overrides = {});

/// Reads the file and parses it.
Deck read_deck(const std::string& file, const std::vector<std::string>& overrides = {});

/// The text of a file; throws InputError when it cannot be read.
std::string read_text_file(const std::string& file);

/// The whole deck with every key, as commented YAML that parses to the same deck.
std::string dump_deck(const Deck& deck);

}  // namespace tramontane
