#include "builder/options.hpp"

#include "common/db/database.hpp"
#include "common/wire/store.hpp"

namespace karreg::builder {

std::vector<Setting> settings() {
  std::vector<Setting> all = db::settings();
  for (const Setting& setting : broker::settings()) all.push_back(setting);
  const std::vector<Setting> own = {
      {"data.dir", "the platform's data folder, an absolute path", "", true},
      {"images.dir", "the image store; empty: `images` in data.dir", "", false},
      {"images.command",
       "the program images/build, which makes the image of a runtime when the first app needs it; "
       "empty: the operator makes them",
       "", false},
      {"images.packages",
       "whether apps may ask for packages of Debian: every set of them is an image of its own, "
       "until "
       "`images/build prune` finds that no app runs on it",
       "true", false},
      {"secrets.key_file", "file with the key that seals secrets", "", true},
      {"log.level", "debug, info, warn or error", "info", false},
      {"builder.parallel", "builds that are planned or kept at the same time, 1 to 64", "2", false},
      {"builder.lease", "how long a build stays with a builder that no longer answers", "30s",
       false},
      {"builder.poll", "how often to look for builds when no news comes", "2s", false},
      {"builder.wall_ms",
       "milliseconds that all steps of a build may take together, 1000 to "
       "86400000",
       "900000", false},
      {"builder.output_max_bytes", "largest artifact, a multiple of 4096", "2147483648", false},
      {"builder.source_max_bytes", "largest source of a commit", "2147483648", false},
      {"builder.file_max_bytes",
       "largest file of a commit; each build that is planned may hold one in memory", "268435456",
       false},
      {"builder.source_max_files", "most files, folders and links of a commit", "250000", false},
      {"builder.min_free_bytes", "free disk space that builds leave alone", "1073741824", false},
      {"builder.build_disk_bytes",
       "disk space that is set aside for each build under way; 0: all that its disks can hold", "0",
       false},
      {"store.listen",
       "address:port where artifacts and images are served to agents on other hosts; empty: "
       "nowhere",
       "", false},
      {"store.token_file", "file with the token that these agents show; needed with store.listen",
       "", false},
      {"builder.space_wait", "how long a build waits for disk space that others may take", "10m",
       false},
  };
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

Result<Options> options(const Config& config) {
  constexpr std::int64_t tebibyte = std::int64_t{1} << 40;
  Options read;
  read.data = config.text("data.dir");
  if (!read.data.is_absolute())
    return Error(ErrorKind::invalid,
                 "setting data.dir: `" + read.data.string() + "` is not an absolute path");
  read.images = config.text("images.dir");
  if (read.images.empty()) read.images = read.data / "images";
  read.image_command = config.text("images.command");
  if (!read.image_command.empty() && !read.image_command.is_absolute())
    return Error(ErrorKind::invalid, "setting images.command: `" + read.image_command.string() +
                                         "` is not an absolute path");
  auto packages = config.flag("images.packages");
  if (!packages) return packages.error();
  read.image_packages = *packages;
  read.key_file = config.text("secrets.key_file");
  read.database_url = config.text("database.url");

  auto broker = broker::address(config);
  if (!broker) return broker.error();
  read.broker = *broker;
  auto parallel = config.number("builder.parallel", 1, 64);
  if (!parallel) return parallel.error();
  read.parallel = static_cast<int>(*parallel);
  auto lease = config.duration("builder.lease");
  if (!lease) return lease.error();
  if (*lease < std::chrono::milliseconds(100))
    return Error(ErrorKind::invalid, "setting builder.lease: must be at least 100ms");
  read.lease = *lease;
  auto poll = config.duration("builder.poll");
  if (!poll) return poll.error();
  if (*poll < std::chrono::milliseconds(10))
    return Error(ErrorKind::invalid, "setting builder.poll: must be at least 10ms");
  read.poll = *poll;
  auto wall = config.number("builder.wall_ms", 1000, 86'400'000);
  if (!wall) return wall.error();
  read.wall_ms = *wall;
  auto output = config.number("builder.output_max_bytes", 1 << 20, tebibyte);
  if (!output) return output.error();
  if (*output % 4096 != 0)
    return Error(ErrorKind::invalid,
                 "setting builder.output_max_bytes: must be a multiple of 4096");
  read.output_max_bytes = *output;
  auto source = config.number("builder.source_max_bytes", 1 << 10, tebibyte);
  if (!source) return source.error();
  read.source_max_bytes = *source;
  auto file = config.number("builder.file_max_bytes", 1 << 10, tebibyte);
  if (!file) return file.error();
  read.file_max_bytes = *file;
  auto files = config.number("builder.source_max_files", 1, 100'000'000);
  if (!files) return files.error();
  read.source_max_files = *files;
  auto free = config.number("builder.min_free_bytes", 0, tebibyte);
  if (!free) return free.error();
  read.min_free_bytes = *free;
  auto build_disk = config.number("builder.build_disk_bytes", 0, tebibyte);
  if (!build_disk) return build_disk.error();
  read.build_disk_bytes = *build_disk;
  auto space_wait = config.duration("builder.space_wait");
  if (!space_wait) return space_wait.error();
  read.space_wait = *space_wait;
  if (const std::string listen = config.text("store.listen"); !listen.empty()) {
    auto endpoint = parse_endpoint(listen);
    if (!endpoint) return endpoint.error().within("setting store.listen");
    read.store_listen = *endpoint;
    auto token = wire::store::read_token(config.text("store.token_file"), "store.token_file");
    if (!token) return token.error();
    read.store_token = *token;
  }
  return read;
}

}  // namespace karreg::builder
