/// Both ends of the stream. See docs/design/stream.md.
#pragma once

#include "src/stream/stream_consumer.hpp"
#include "src/stream/stream_producer.hpp"
