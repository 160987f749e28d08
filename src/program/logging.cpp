#include "src/program/logging.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <string>

#include "ml/notices.hpp"

namespace tramontane {

void start_logging(int world_rank) {
  auto logger = std::make_shared<spdlog::logger>("tramontane", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern(world_rank == 0 ? "[%H:%M:%S] %v" : "[%H:%M:%S] rank " + std::to_string(world_rank) + ": %v");
  logger->set_level(world_rank == 0 ? spdlog::level::info : spdlog::level::warn);
  spdlog::set_default_logger(logger);
  set_notices([](const std::string& sentence) { spdlog::warn(sentence); });
}

}  // namespace tramontane
