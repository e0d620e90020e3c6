#include "builder/tar.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace karreg::builder {
namespace {

constexpr std::size_t block_bytes = 512;
constexpr std::size_t name_bytes = 100;
constexpr std::size_t piece_bytes = std::size_t{1} << 20;
constexpr std::uint64_t largest_octal_size = 077777777777;  // 11 octal digits

/// A ustar header block. Field offsets are those of POSIX.
struct Block {
  std::array<char, block_bytes> bytes{};

  void text(std::size_t at, std::size_t length, std::string_view value) {
    std::memcpy(bytes.data() + at, value.data(), std::min(length, value.size()));
  }
  /// @p length - 1 octal digits and a NUL.
  void octal(std::size_t at, std::size_t length, std::uint64_t value) {
    for (std::size_t i = length - 1; i-- > 0; value >>= 3)
      bytes[at + i] = static_cast<char>('0' + (value & 7));
  }
};

/// "LENGTH key=value\n", where LENGTH counts itself.
std::string pax_record(const std::string& key, const std::string& value) {
  const std::string rest = " " + key + "=" + value + "\n";
  std::size_t length = rest.size();
  while (std::to_string(length).size() + rest.size() != length)
    length = std::to_string(length).size() + rest.size();
  return std::to_string(length) + rest;
}

}  // namespace

Result<void> TarWriter::put(std::string_view bytes) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), piece_bytes))) {
    const std::string_view piece = bytes.substr(0, piece_bytes);
    written_ += static_cast<std::int64_t>(piece.size());
    if (auto done = sink_(piece); !done) return done.error();
  }
  return ok();
}

Result<void> TarWriter::padded(std::string_view bytes) {
  if (auto done = put(bytes); !done) return done.error();
  const std::size_t over = bytes.size() % block_bytes;
  if (over == 0) return ok();
  return put(std::string(block_bytes - over, '\0'));
}

Result<void> TarWriter::ustar(const Member& member) {
  Block block;
  block.text(0, name_bytes, member.name);
  block.octal(100, 8, member.mode);
  block.octal(108, 8, 0);  // uid
  block.octal(116, 8, 0);  // gid
  block.octal(124, 12, std::min(member.size, largest_octal_size));
  block.octal(136, 12, static_cast<std::uint64_t>(std::max<std::int64_t>(mtime_, 0)));
  block.text(148, 8, "        ");
  block.bytes[156] = member.type;
  block.text(157, name_bytes, member.target);
  block.text(257, 6, std::string_view("ustar\0", 6));
  block.text(263, 2, "00");
  block.text(265, 32, "root");
  block.text(297, 32, "root");
  std::uint64_t sum = 0;
  for (const char c : block.bytes) sum += static_cast<unsigned char>(c);
  block.octal(148, 7, sum);
  block.bytes[155] = ' ';
  return put({block.bytes.data(), block.bytes.size()});
}

Result<void> TarWriter::header(const Member& member) {
  std::string extended;
  if (member.name.size() > name_bytes) extended += pax_record("path", member.name);
  if (member.target.size() > name_bytes) extended += pax_record("linkpath", member.target);
  if (member.size > largest_octal_size) extended += pax_record("size", std::to_string(member.size));
  if (!extended.empty()) {
    if (auto done = ustar({"././@PaxHeader", "", 'x', 0644, extended.size()}); !done)
      return done.error();
    if (auto done = padded(extended); !done) return done.error();
  }
  return ustar(member);
}

Result<void> TarWriter::folder(const std::string& name) {
  return header({name + "/", "", '5', 0755, 0});
}

Result<void> TarWriter::link(const std::string& name, const std::string& target) {
  return header({name, target, '2', 0777, 0});
}

Result<void> TarWriter::file(const std::string& name, bool executable, std::string_view bytes) {
  if (auto done = header({name, "", '0', executable ? 0755U : 0644U, bytes.size()}); !done)
    return done.error();
  return padded(bytes);
}

Result<void> TarWriter::finish() {
  return put(std::string(2 * block_bytes, '\0'));
}

}  // namespace karreg::builder
