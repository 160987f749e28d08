#include "kernels/fault_injection.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <thread>
#include <utility>

#include "kernels/errors.hpp"

namespace tramontane {
namespace {

constexpr std::array<std::pair<const char*, Fault>, 10> kNames = {{{"hang", Fault::hang},
                                                                   {"spin", Fault::spin},
                                                                   {"stop", Fault::stop},
                                                                   {"kill", Fault::kill},
                                                                   {"exit", Fault::exit},
                                                                   {"delay", Fault::delay},
                                                                   {"nan", Fault::nan},
                                                                   {"inf", Fault::inf},
                                                                   {"corrupt", Fault::corrupt},
                                                                   {"fail", Fault::fail}}};

// Of this rank; written once, before any place is passed.
std::vector<FaultOrder> orders;
int own_rank = -1;
std::map<std::string, std::int64_t, std::less<>> passes;  // of places that do not count themselves

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

/// Cuts off and returns what stands before `separator`.
std::string_view next_part(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return trimmed(part);
}

template <class Number>
bool read(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_place(std::string_view value, FaultOrder& order) {
  order.place = next_part(value, ':');
  if (value.ends_with('+')) {
    order.and_later = true;
    value.remove_suffix(1);
  }
  return !order.place.empty() && (value.empty() ? !order.and_later : read(value, order.number) && order.number >= 0);
}

bool read_action(std::string_view value, FaultOrder& order) {
  const std::string_view name = next_part(value, ':');
  for (const auto& [text, fault] : kNames)
    if (name == text) order.fault = fault;
  return order.fault != Fault::none && (value.empty() ? order.fault != Fault::delay : read(value, order.argument));
}

FaultOrder read_order(std::string_view text) {
  FaultOrder order;
  bool good = true, has_rank = false;
  for (std::string_view rest = text; good && !rest.empty();) {
    std::string_view value = next_part(rest, ',');
    const std::string_view key = next_part(value, '=');
    if (key == "rank")
      good = has_rank = value == "*" || (read(value, order.rank) && order.rank >= 0);
    else if (key == "at")
      good = read_place(value, order);
    else
      good = key == "do" && read_action(value, order);
  }
  if (!good || !has_rank || order.place.empty() || order.fault == Fault::none)
    throw InputError(
        "TRAMONTANE_FAULT: \"" + std::string(text) +
        "\" is no fault: write rank=<rank or *>,at=<place>[:<number>[+]],do=<hang, spin, stop, kill, exit, "
        "delay:<seconds>, nan, inf, corrupt or fail>");
  return order;
}

}  // namespace

const char* FaultOrder::action() const {
  for (const auto& [text, named] : kNames)
    if (named == fault) return text;
  return "none";
}

bool FaultOrder::meets(int this_rank, std::string_view this_place, std::int64_t this_number) const {
  return (rank < 0 || rank == this_rank) && place == this_place &&
         (number < 0 || number == this_number || (and_later && this_number > number));
}

std::vector<FaultOrder> read_fault_orders(std::string_view text) {
  std::vector<FaultOrder> read;
  while (!text.empty()) {
    const std::string_view part = next_part(text, ';');
    if (!part.empty()) read.push_back(read_order(part));
  }
  return read;
}

void arm_faults(int rank) {
  orders.clear();
  passes.clear();
  own_rank = rank;
  const char* text = std::getenv("TRAMONTANE_FAULT");
  if (!text) return;
  for (FaultOrder& order : read_fault_orders(text))
    if (order.meets(rank, order.place, order.number)) orders.push_back(std::move(order));
}

Fault fault_at(std::string_view place, std::int64_t number) {
  if (orders.empty()) return Fault::none;
  Fault left = Fault::none;
  for (FaultOrder& order : orders) {
    if (!order.meets(order.rank, place, number)) continue;
    if (!std::exchange(order.has_struck, true))
      std::fprintf(stderr, "fault on order: rank %d at %.*s:%lld: %s\n", own_rank, static_cast<int>(place.size()),
                   place.data(), static_cast<long long>(number), order.action());
    switch (order.fault) {
      case Fault::hang:
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
      case Fault::spin:
        for (volatile std::uint64_t turns = 0;;) turns = turns + 1;
      case Fault::stop:
        raise(SIGSTOP);
        break;
      case Fault::kill:
        raise(SIGKILL);
        break;
      case Fault::exit:
        _exit(static_cast<int>(order.argument));
      case Fault::delay:
        std::this_thread::sleep_for(std::chrono::duration<double>(order.argument));
        break;
      default:
        left = order.fault;
    }
  }
  return left;
}

Fault fault_at(std::string_view place) {
  if (orders.empty()) return Fault::none;
  auto at = passes.find(place);
  if (at == passes.end()) at = passes.emplace(place, 0).first;
  return fault_at(place, ++at->second);
}

std::optional<float> wild_value(Fault fault) {
  if (fault == Fault::nan) return std::numeric_limits<float>::quiet_NaN();
  if (fault == Fault::inf) return std::numeric_limits<float>::infinity();
  return {};
}

}  // namespace tramontane
