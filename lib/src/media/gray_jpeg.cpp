#include "media/gray_jpeg.h"

#include <algorithm>
#include <array>

#include "avstore/error.h"

namespace avstore::media {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t kMarker = 0xFF;
constexpr std::uint8_t kStart = 0xD8;
constexpr std::uint8_t kEnd = 0xD9;
constexpr std::uint8_t kBaselineFrame = 0xC0;
constexpr std::uint8_t kHuffmanTables = 0xC4;
constexpr std::uint8_t kScan = 0xDA;
constexpr int kBlock = 8;          // pixels
constexpr int kCoefficients = 64;  // of a block
constexpr int kEndOfBlock = 0x00;
constexpr int kSixteenZeros = 0xF0;

struct Unreadable {
  const char* why;
};

// One table of codes: of each symbol, and by length for reading.
struct Huffman {
  struct Code {
    std::uint32_t bits = 0;
    int length = 0;
  };
  std::array<Code, 256> code_of{};
  std::array<int, 18> first{};   // the first code of each length
  std::array<int, 18> count{};   // how many there are
  std::array<int, 18> offset{};  // where their symbols begin
  Bytes symbols;
};

// A symbol and the bits that follow it.
struct Token {
  std::uint8_t symbol = 0;
  std::uint32_t extra = 0;
};

struct Block {
  int dc = 0;
  std::vector<Token> ac;
};

class BitReader {
 public:
  explicit BitReader(std::span<const std::uint8_t> data) : data_(data) {}

  int bit() {
    if (left_ == 0) {
      load();
    }
    return (byte_ >> --left_) & 1;
  }
  std::uint32_t bits(int count) {
    std::uint32_t value = 0;
    for (int i = 0; i < count; ++i) {
      value = value << 1U | static_cast<std::uint32_t>(bit());
    }
    return value;
  }
  int symbol(const Huffman& table) {
    int code = 0;
    for (std::size_t length = 1; length <= 16; ++length) {
      code = code << 1 | bit();
      const int place = code - table.first[length];
      if (place >= 0 && place < table.count[length]) {
        return table.symbols[static_cast<std::size_t>(table.offset[length]) +
                             static_cast<std::size_t>(place)];
      }
    }
    throw Unreadable{"a code of no table"};
  }

 private:
  void load() {
    if (at_ >= data_.size()) {
      throw Unreadable{"it ends early"};
    }
    byte_ = data_[at_++];
    left_ = 8;
    if (byte_ == kMarker) {
      if (at_ >= data_.size() || data_[at_] != 0) {
        throw Unreadable{"a marker amid the picture"};
      }
      ++at_;
    }
  }

  std::span<const std::uint8_t> data_;
  std::size_t at_ = 0;
  int byte_ = 0;
  int left_ = 0;
};

class BitWriter {
 public:
  explicit BitWriter(Bytes& out) : out_(out) {}

  void put(std::uint32_t bits, int count) {
    for (int i = count; i-- > 0;) {
      byte_ = byte_ << 1 | static_cast<int>(bits >> static_cast<unsigned>(i) & 1U);
      if (++filled_ == 8) {
        write();
      }
    }
  }
  void put(const Huffman& table, int symbol) {
    const Huffman::Code& code = table.code_of[static_cast<std::size_t>(symbol)];
    if (code.length == 0) {
      throw Unreadable{"its tables lack a code"};
    }
    put(code.bits, code.length);
  }
  void finish() {
    while (filled_ != 0) {
      put(1, 1);
    }
  }

 private:
  void write() {
    out_.push_back(static_cast<std::uint8_t>(byte_));
    if (byte_ == kMarker) {
      out_.push_back(0);
    }
    byte_ = 0;
    filled_ = 0;
  }

  Bytes& out_;
  int byte_ = 0;
  int filled_ = 0;
};

// The number that `size` bits stand for, and the bits and size of a number.
int number_of(std::uint32_t bits, int size) {
  const auto value = static_cast<int>(bits);
  return size == 0 || value >= 1 << (size - 1) ? value : value - (1 << size) + 1;
}
int size_of(int number) {
  int size = 0;
  for (int rest = std::abs(number); rest != 0; rest >>= 1) {
    ++size;
  }
  return size;
}
std::uint32_t bits_of(int number, int size) {
  return static_cast<std::uint32_t>(number < 0 ? number + (1 << size) - 1 : number);
}

class LumaAlone {
 public:
  explicit LumaAlone(std::span<const std::uint8_t> jpeg) : jpeg_(jpeg) {}

  Bytes make() {
    read_segments();
    std::vector<Block> blocks = read_blocks();
    write_blocks(blocks);
    return std::move(out_);
  }

 private:
  struct Component {
    int id = 0, across = 0, down = 0;  // blocks in a unit of the scan
    int dc_table = 0, ac_table = 0;
  };

  int byte(std::size_t at) const {
    if (at >= jpeg_.size()) {
      throw Unreadable{"it ends early"};
    }
    return jpeg_[at];
  }
  int word(std::size_t at) const { return byte(at) << 8 | byte(at + 1); }

  void copy(std::size_t begin, std::size_t end) {
    byte(end - 1);
    out_.insert(out_.end(), jpeg_.begin() + static_cast<std::ptrdiff_t>(begin),
                jpeg_.begin() + static_cast<std::ptrdiff_t>(end));
  }
  void append(std::initializer_list<int> bytes) {
    for (const int value : bytes) {
      out_.push_back(static_cast<std::uint8_t>(value));
    }
  }

  // All but frame and scan stay as they are.
  void read_segments() {
    if (word(0) != (kMarker << 8 | kStart)) {
      throw Unreadable{"no JPEG"};
    }
    copy(0, 2);
    for (std::size_t at = 2;;) {
      const int marker = byte(at) == kMarker ? byte(at + 1) : 0;
      const std::size_t content = at + 4;
      const std::size_t next = at + 2 + static_cast<std::size_t>(word(at + 2));
      if (marker == kBaselineFrame) {
        read_frame(content);
      } else if (marker == kScan) {
        read_scan(content);
        data_ = jpeg_.subspan(std::min(next, jpeg_.size()));
        return;
      } else {
        if (marker == kHuffmanTables) {
          read_tables(content, next);
        }
        copy(at, next);
      }
      at = next;
    }
  }

  void read_frame(std::size_t at) {
    height_ = word(at + 1);
    width_ = word(at + 3);
    const int count = byte(at + 5);
    for (int i = 0; i < count; ++i) {
      const std::size_t entry = at + 6 + std::size_t{3} * static_cast<std::size_t>(i);
      components_.push_back({byte(entry), byte(entry + 1) >> 4, byte(entry + 1) & 15});
    }
    append({kMarker, kBaselineFrame, 0, 11, byte(at), height_ >> 8, height_ & 255, width_ >> 8,
            width_ & 255, 1, byte(at + 6), 0x11, byte(at + 8)});
  }

  void read_scan(std::size_t at) {
    const auto count = static_cast<std::size_t>(byte(at));
    if (components_.empty() || count != components_.size()) {
      throw Unreadable{"several scans"};
    }
    for (std::size_t i = 0; i < count; ++i) {
      const int tables = byte(at + 2 + 2 * i);
      components_[i].dc_table = tables >> 4 & 3;
      components_[i].ac_table = tables & 3;
    }
    append({kMarker, kScan, 0, 8, 1, byte(at + 1), byte(at + 2), 0, 63, 0});
  }

  void read_tables(std::size_t at, std::size_t end) {
    while (at < end) {
      const int which = byte(at++);
      Huffman& table = ((which >> 4 & 1) != 0 ? ac_ : dc_)[static_cast<std::size_t>(which & 3)];
      table = {};
      const std::size_t counts = at;
      at += 16;
      int code = 0;
      for (std::size_t length = 1; length <= 16; ++length) {
        table.first[length] = code;
        table.count[length] = byte(counts + length - 1);
        table.offset[length] = static_cast<int>(table.symbols.size());
        for (int i = 0; i < table.count[length]; ++i, ++code) {
          const int symbol = byte(at++);
          table.symbols.push_back(static_cast<std::uint8_t>(symbol));
          table.code_of[static_cast<std::size_t>(symbol)] = {static_cast<std::uint32_t>(code),
                                                             static_cast<int>(length)};
        }
        code <<= 1;
      }
    }
  }

  Block read_block(BitReader& reader, const Component& component, int& last_dc) const {
    Block block;
    const int size = reader.symbol(dc_[static_cast<std::size_t>(component.dc_table)]);
    last_dc += number_of(reader.bits(size), size);
    block.dc = last_dc;
    for (int place = 1; place < kCoefficients;) {
      const int symbol = reader.symbol(ac_[static_cast<std::size_t>(component.ac_table)]);
      block.ac.push_back({static_cast<std::uint8_t>(symbol), reader.bits(symbol & 15)});
      if (symbol == kEndOfBlock) {
        break;
      }
      place += symbol == kSixteenZeros ? 16 : (symbol >> 4) + 1;
    }
    return block;
  }

  int blocks_across() const { return (width_ + kBlock - 1) / kBlock; }
  int blocks_down() const { return (height_ + kBlock - 1) / kBlock; }

  // Of luma, row by row. In the file the blocks of each unit follow one another, all components'.
  std::vector<Block> read_blocks() {
    const Component& luma = components_.front();
    if (luma.across == 0 || luma.down == 0) {
      throw Unreadable{"no frame"};
    }
    const int units_across = (blocks_across() + luma.across - 1) / luma.across;
    const int units_down = (blocks_down() + luma.down - 1) / luma.down;
    std::vector<Block> blocks(static_cast<std::size_t>(blocks_across()) *
                              static_cast<std::size_t>(blocks_down()));
    std::vector<int> last_dc(components_.size(), 0);
    BitReader reader(data_);
    for (int unit = 0; unit < units_across * units_down; ++unit) {
      for (std::size_t c = 0; c < components_.size(); ++c) {
        const Component& component = components_[c];
        for (int i = 0; i < component.across * component.down; ++i) {
          Block block = read_block(reader, component, last_dc[c]);
          const int x = unit % units_across * component.across + i % component.across;
          const int y = unit / units_across * component.down + i / component.across;
          if (c == 0 && x < blocks_across() && y < blocks_down()) {
            blocks[static_cast<std::size_t>(y) * static_cast<std::size_t>(blocks_across()) +
                   static_cast<std::size_t>(x)] = std::move(block);
          }
        }
      }
    }
    return blocks;
  }

  void write_blocks(const std::vector<Block>& blocks) {
    const Huffman& dc = dc_[static_cast<std::size_t>(components_.front().dc_table)];
    const Huffman& ac = ac_[static_cast<std::size_t>(components_.front().ac_table)];
    BitWriter writer(out_);
    int last_dc = 0;
    for (const Block& block : blocks) {
      const int difference = block.dc - last_dc;
      const int size = size_of(difference);
      writer.put(dc, size);
      writer.put(bits_of(difference, size), size);
      last_dc = block.dc;
      for (const Token& token : block.ac) {
        writer.put(ac, token.symbol);
        writer.put(token.extra, token.symbol & 15);
      }
    }
    writer.finish();
    append({kMarker, kEnd});
  }

  std::span<const std::uint8_t> jpeg_;
  std::span<const std::uint8_t> data_;
  int width_ = 0;
  int height_ = 0;
  std::vector<Component> components_;
  std::array<Huffman, 4> dc_, ac_;
  Bytes out_;
};

}  // namespace

std::vector<std::uint8_t> luma_alone(std::span<const std::uint8_t> jpeg, const std::string& where) {
  try {
    return LumaAlone(jpeg).make();
  } catch (const Unreadable& reason) {
    throw Error(ErrorKind::unsupported,
                where + ": no gray picture can be made of the encoder's: " + reason.why);
  }
}

}  // namespace avstore::media
