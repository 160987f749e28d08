// The deck: every key, every message.
#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "src/deck/deck.hpp"
#include "src/deck/duration.hpp"
#include "src/deck/keys.hpp"

namespace tramontane {
namespace {

/// The message of the InputError that parsing throws, or "" when it throws none.
std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse_deck(text, "deck.yaml", overrides);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Deck, EmptyTextGivesDefaults) {
  const Deck deck = parse_deck("", "deck.yaml");
  EXPECT_EQ(deck.grid.n, 48);
  EXPECT_EQ(deck.surrogate.kind, SurrogateKind::correction);
  EXPECT_EQ(deck.teach_months(), (std::vector<Month>{{1983, 1}}));
  EXPECT_TRUE(deck.origin.empty());
}

TEST(Deck, ReadsEverySectionAndRemembersWhere) {
  const Deck deck = parse_deck(
      "grid: {n: 96, tiles_per_edge: 2}\n"
      "surrogate:\n"
      "  network: {width: 16}\n"
      "  interval: 30min\n"
      "teach:\n"
      "  months: [1982-01, 1982-07]\n"
      "  validation: 1990-01\n"
      "time: {dt: 300}\n"
      "ranks: {learner: 3}\n",
      "deck.yaml");
  EXPECT_EQ(deck.grid.n, 96);
  EXPECT_EQ(deck.surrogate.network.width, 16);
  EXPECT_DOUBLE_EQ(deck.surrogate.interval, 1800);
  EXPECT_EQ(deck.teach.months, (std::vector<Month>{{1982, 1}, {1982, 7}}));
  EXPECT_EQ(deck.teach.validation, (std::vector<Month>{{1990, 1}}));
  EXPECT_EQ(deck.time.dt, 300);
  EXPECT_FALSE(deck.ranks.solver.has_value());
  EXPECT_EQ(deck.ranks.learner, 3);
  EXPECT_EQ(deck.where("surrogate.interval"), "deck.yaml:4: ");
  EXPECT_EQ(deck.where("grid.n"), "deck.yaml:1: ");
  EXPECT_EQ(deck.where("stream.every"), "");
}

TEST(Deck, UnknownKeyNamesFileLineAndNearestKey) {
  EXPECT_EQ(error_of("time: {days: 1}\ngrid:\n  nn: 5\n"),
            "deck.yaml:3: unknown key 'grid.nn'; did you mean 'grid.n'?");
  EXPECT_EQ(error_of("gird: {n: 5}\n"), "deck.yaml:1: unknown key 'gird'; did you mean 'grid'?");
  EXPECT_EQ(error_of("surrogate:\n  network:\n    widht: 5\n"),
            "deck.yaml:3: unknown key 'surrogate.network.widht'; did you mean 'surrogate.network.width'?");
  // A key in the wrong section.
  EXPECT_EQ(error_of("batch: 5\n"), "deck.yaml:1: unknown key 'batch'; did you mean 'learner.batch'?");
}

TEST(Deck, WrongTypeNamesFileLineKeyAndExpectation) {
  EXPECT_EQ(error_of("grid:\n  n: many\n"),
            "deck.yaml:2: grid.n expects a whole number, at least 1 [cells], found 'many'");
  EXPECT_EQ(error_of("grid: {n: 4.5}"), "deck.yaml:1: grid.n expects a whole number, at least 1 [cells], found '4.5'");
  EXPECT_EQ(error_of("grid: {n: [1, 2]}"),
            "deck.yaml:1: grid.n expects a whole number, at least 1 [cells], found '[1, 2]'");
  EXPECT_EQ(error_of("grid: 48"), "deck.yaml:1: 'grid' is a section and holds keys, found '48'");
  EXPECT_EQ(error_of("stream: {when_full: wait}"),
            "deck.yaml:1: stream.when_full expects one of block, drop_oldest, drop_newest, found 'wait'");
  EXPECT_EQ(error_of("initial: {month: 1983-13}"),
            "deck.yaml:1: initial.month expects a month YYYY-MM, found '1983-13'");
  EXPECT_EQ(error_of("output: {plots: maybe}"), "deck.yaml:1: output.plots expects true or false, found 'maybe'");
  EXPECT_EQ(error_of("output: {dir: }"), "deck.yaml:1: output.dir expects a path, found nothing");
}

TEST(Deck, RangesAreChecked) {
  EXPECT_NE(error_of("time: {cfl: 0}"), "");
  EXPECT_NE(error_of("time: {cfl: -1}"), "");
  EXPECT_NE(error_of("time: {cfl: nan}"), "");
  EXPECT_NE(error_of("learner: {ema: 1}"), "");
  EXPECT_NE(error_of("output: {latlon: -1}"), "");
  EXPECT_EQ(error_of("output: {latlon: 0}"), "");
}

TEST(Deck, InvalidYamlAndRepeatedKeysAreRefused) {
  EXPECT_TRUE(error_of("grid: {n: 48\ntime: [").starts_with("deck.yaml:")) << error_of("grid: {n: 48\ntime: [");
  EXPECT_EQ(error_of("grid:\n  n: 24\n  n: 48\n"),
            "deck.yaml:3: key 'grid.n' stands here a second time; keep one of them");
  EXPECT_EQ(error_of("- 1\n- 2\n"), "deck.yaml:1: a deck is a map of sections such as 'grid: {n: 48}'");
}

TEST(Deck, OverridesComeAfterTheFile) {
  const Deck deck = parse_deck("grid: {n: 96}", "deck.yaml",
                               {"grid.n=24", "teach.months=[1984-01, 1984-02]", "forecast.starts=1991-05",
                                "surrogate.network={width: 48, levels: 2}", "output.dir=some where"});
  EXPECT_EQ(deck.grid.n, 24);
  EXPECT_EQ(deck.where("grid.n"), "--set: ");
  EXPECT_EQ(deck.teach.months.size(), 2u);
  EXPECT_EQ(deck.forecast.starts, (std::vector<Month>{{1991, 5}}));
  EXPECT_EQ(deck.surrogate.network.width, 48);
  EXPECT_EQ(deck.surrogate.network.levels, 2);
  EXPECT_EQ(deck.output.dir, "some where");
  EXPECT_EQ(error_of("", {"grid.nn=4"}), "--set: unknown key 'grid.nn'; did you mean 'grid.n'?");
  EXPECT_EQ(error_of("", {"grid.n"}), "--set: 'grid.n' is not key=value, for example grid.n=48");
  EXPECT_EQ(error_of("", {"grid.n=a"}), "--set: grid.n expects a whole number, at least 1 [cells], found 'a'");
}

TEST(Deck, DumpHoldsEveryKeyAndParsesToTheSameDeck) {
  const Deck defaults;
  const std::string text = dump_deck(defaults);
  const Deck again = parse_deck(text, "dump.yaml");
  for (const Key& key : deck_keys()) {
    EXPECT_EQ(key.get(again), key.get(defaults)) << key.name;
    EXPECT_TRUE(again.origin.contains(key.name)) << key.name << " is missing in the dump";
  }
  EXPECT_EQ(dump_deck(again), text);
}

TEST(Deck, DumpKeepsWhatWasSet) {
  // One value for every key that is not its default, so that a getter that reads a wrong member shows.
  const std::vector<std::string> overrides = {"grid.n=96",
                                              "grid.tiles_per_edge=2",
                                              "initial.case=rest",
                                              "initial.month=1985-03",
                                              "initial.alpha_deg=45.5",
                                              "initial.mean_depth=5000",
                                              "initial.layer_factor=1.7",
                                              "initial.smoothing=2",
                                              "initial.perturbed=false",
                                              "initial.relief=random",
                                              "initial.seed=7",
                                              "tracer.limiter=local",
                                              "data.winds=/a b/c.cdf",
                                              "data.relief=\"yes: no\"",
                                              "time.days=1.25",
                                              "time.cfl=0.7",
                                              "time.dt=123.456",
                                              "ranks.solver=3",
                                              "ranks.learner=2",
                                              "ranks.placement=packed",
                                              "ranks.learner_ranks=[1, 4]",
                                              "teach.months=[1984-01]",
                                              "teach.validation=[1984-02, 1985-02]",
                                              "teach.days=2.5",
                                              "stream.every=2h",
                                              "stream.queue=3",
                                              "stream.when_full=drop_oldest",
                                              "stream.archive=x/y.h5",
                                              "stream.deadline=90s",
                                              "exchange.dir=x",
                                              "exchange.silence=20s",
                                              "exchange.wait=5min",
                                              "exchange.final_wait=2min",
                                              "surrogate.kind=none",
                                              "surrogate.backend=reference",
                                              "surrogate.coarse_n=32",
                                              "surrogate.interval=20min",
                                              "surrogate.model=m.h5",
                                              "surrogate.network.width=48",
                                              "surrogate.network.levels=2",
                                              "surrogate.network.type=convnext",
                                              "surrogate.network.blocks=3",
                                              "surrogate.network.dilations=[1, 3]",
                                              "surrogate.network.expansion=4",
                                              "surrogate.network.norm=group",
                                              "surrogate.network.groups=8",
                                              "surrogate.network.kernels=polar",
                                              "guard.mode=off",
                                              "guard.threshold=2.5",
                                              "guard.cutoff=5",
                                              "learner.archives=[a.h5, b.h5]",
                                              "learner.bad_samples=skip",
                                              "learner.unfinished=read",
                                              "learner.validation=[1990-01, 1990-06]",
                                              "learner.order=shuffled",
                                              "learner.read_ahead=32",
                                              "learner.epochs=3",
                                              "learner.patience=4",
                                              "learner.rollout=[2, 4]",
                                              "learner.rollout_steps=30",
                                              "learner.rollout_rate=0.2",
                                              "learner.checkpoint_minutes=2.5",
                                              "learner.resume=auto",
                                              "learner.batch=8",
                                              "learner.steps=77",
                                              "learner.learning_rate=0.00031",
                                              "learner.weight_decay=0.02",
                                              "learner.warmup=5",
                                              "learner.clip=0.5",
                                              "learner.ema=0.99",
                                              "learner.reservoir=99",
                                              "learner.watermark=9",
                                              "learner.validate_every=11",
                                              "learner.precision=bf16",
                                              "learner.seed=-4",
                                              "learner.deterministic=true",
                                              "learner.model=w.h5",
                                              "learner.replay=d.csv",
                                              "learner.drift_warning=0.7",
                                              "learner.when_lost=stop",
                                              "gate.every=33",
                                              "gate.hours=7",
                                              "gate.cases=3",
                                              "gate.live=false",
                                              "gate.margin=2.5",
                                              "gate.patience=4.5",
                                              "gate.fallback_limit=0.25",
                                              "gate.keep=5",
                                              "forecast.starts=[]",
                                              "forecast.days=1.5",
                                              "forecast.members=2",
                                              "output.dir=out",
                                              "output.every=12h",
                                              "output.latlon=5",
                                              "output.plots=false",
                                              "output.onnx=true",
                                              "checkpoint.every=none",
                                              "checkpoint.minutes=20.5",
                                              "checkpoint.keep=3",
                                              "checkpoint.resume=auto"};
  const Deck deck = parse_deck("", "deck.yaml", overrides), defaults;
  const Deck again = parse_deck(dump_deck(deck), "dump.yaml");
  for (const Key& key : deck_keys()) {
    EXPECT_EQ(key.get(again), key.get(deck)) << key.name;
    const bool has_one_value =
        key.name.starts_with("physics.");
    EXPECT_EQ(key.get(deck) == key.get(defaults), has_one_value) << key.name;
  }
}

TEST(Deck, MissingFileIsAnInputError) {
  EXPECT_THROW(read_deck("/no/such/deck.yaml"), InputError);
  EXPECT_THROW(read_deck("/tmp"), InputError);
}

TEST(Duration, ReadsUnitsAndBareSeconds) {
  EXPECT_EQ(parse_duration("1h"), 3600);
  EXPECT_EQ(parse_duration("30min"), 1800);
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("2d"), 172800);
  EXPECT_EQ(parse_duration("450"), 450);
  EXPECT_EQ(parse_duration("1.5 h"), 5400);
  for (const char* wrong : {"", "h", "1 hour", "-1h", "1h30min", "inf", "1e400"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

TEST(Duration, TextReadsBack) {
  for (double seconds : {0.5, 1.0, 59.0, 60.0, 90.0, 3600.0, 5400.0, 86400.0, 300.25})
    EXPECT_EQ(parse_duration(duration_text(seconds)), seconds) << duration_text(seconds);
  EXPECT_EQ(duration_text(3600), "1h");
  EXPECT_EQ(duration_text(90), "90s");
}

TEST(Month, ReadsAndCompares) {
  EXPECT_EQ(parse_month("1983-01"), (Month{1983, 1}));
  EXPECT_EQ((Month{1983, 1}).number(), 198301);
  EXPECT_LT((Month{1983, 12}), (Month{1984, 1}));
  EXPECT_EQ((Month{1984, 1}).ordinal() - (Month{1983, 12}).ordinal(), 1);
  for (const char* wrong : {"1983", "1983-0", "1983-00", "1983-13", "83-01", "1983/01", "1983-1a"})
    EXPECT_FALSE(parse_month(wrong)) << wrong;
}

}  // namespace
}  // namespace tramontane
