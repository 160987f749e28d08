"""The project's networks in PyTorch, built from the description that its programs print: the same layers, the same
halos, channels last in memory. Used by the parity test and by the benchmark."""

import torch
import torch.nn.functional as F


class Halo:
    """Fill of ghost cells: (samples, tiles, T, T, C) to (samples, tiles, T + 2 b, T + 2 b, C) with border b.

    `gather` takes every padded cell by one index_select; `edges` copies the interior and takes the ghosts alone. Both
    are linear; their adjoints, written out, add up what the ghosts bring home."""

    def __init__(self, description, tiles):
        self.size, self.border, self.tiles = description["size"], description["border"], tiles
        self.padded = self.size + 2 * self.border
        self.cells = tiles * self.size**2
        source, means = description["source"], description["means"]
        self.source = torch.tensor(source)
        self.mean_rows = torch.tensor([row for row, _, _ in means])
        self.mean_first = torch.tensor([a for _, a, _ in means])
        self.mean_second = torch.tensor([b for _, _, b in means])
        is_mean = {row for row, _, _ in means}
        side, inner = self.padded, range(self.border, self.border + self.size)
        ghosts = [row for row in range(tiles * side**2) if row % side not in inner or row // side % side not in inner]
        self.interior = slice(self.border, self.border + self.size)
        self.ghost_rows = torch.tensor([row for row in ghosts if row not in is_mean])
        self.ghost_cells = torch.tensor([source[row] for row in ghosts if row not in is_mean])

    def fill(self, x, way):
        samples, channels = x.shape[0], x.shape[-1]
        flat = x.reshape(samples, self.cells, channels)
        if way == "gather":
            padded = flat.index_select(1, self.source)
        else:
            padded = x.new_empty(samples, self.tiles, self.padded, self.padded, channels)
            padded[:, :, self.interior, self.interior] = x
            padded = padded.view(samples, -1, channels)
            padded.index_copy_(1, self.ghost_rows, flat.index_select(1, self.ghost_cells))
        if len(self.mean_rows):
            mean = 0.5 * (flat.index_select(1, self.mean_first) + flat.index_select(1, self.mean_second))
            padded.index_copy_(1, self.mean_rows, mean)
        return padded.view(samples, self.tiles, self.padded, self.padded, channels)

    def adjoint(self, g):
        samples, channels = g.shape[0], g.shape[-1]
        flat = g.reshape(samples, -1, channels)
        x = g[:, :, self.interior, self.interior].contiguous().view(samples, self.cells, channels)
        x.index_add_(1, self.ghost_cells, flat.index_select(1, self.ghost_rows))
        if len(self.mean_rows):
            half = 0.5 * flat.index_select(1, self.mean_rows)
            x.index_add_(1, self.mean_first, half)
            x.index_add_(1, self.mean_second, half)
        return x.view(samples, self.tiles, self.size, self.size, channels)


class _Fill(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, halo, way):
        ctx.halo = halo
        return halo.fill(x, way)

    @staticmethod
    def backward(ctx, g):
        return ctx.halo.adjoint(g), None, None


class _Activation(torch.autograd.Function):
    """Capped leaky ReLU in place, its derivative taken from the output: half the passes over memory that the composed
    one needs."""

    @staticmethod
    def forward(ctx, x, slope, cap):
        ctx.slope, ctx.cap = slope, cap
        F.leaky_relu_(x, slope).clamp_(max=cap)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, g):
        y, = ctx.saved_tensors
        g = torch.ops.aten.leaky_relu_backward(g, y, ctx.slope, True)
        return g.masked_fill_(y >= ctx.cap, 0), None, None


class Network(torch.nn.Module):
    """Evaluates the list of convolutions. Input (samples, tiles, T, T, inputs), output (samples, tiles, T, T, outputs).

    @param way: how halos are filled: "gather" or "edges" with an adjoint of their own and the activation in place;
        "autograd" leaves both to PyTorch, which torch.compile can look into."""

    def __init__(self, description, way="edges"):
        super().__init__()
        self.description, self.way = description, way
        self.halos = {name: Halo(h, description["tiles"]) for name, h in description["halos"].items()}
        self.layers = torch.nn.ModuleList()
        for node in description["nodes"]:
            if node["kind"] == "convolution":
                layer = torch.nn.Conv2d(node["in"], node["out"], node["kernel"], dilation=node["dilation"])
                self.layers.append(layer.to(memory_format=torch.channels_last))
            elif node["kind"] == "addition":
                self.layers.append(torch.nn.Identity())
            else:
                raise ValueError(f"layer {node['name']} is of a kind that has no counterpart here: {node['kind']}")

    def _blocks(self):
        """(parameter, its place in the flat buffer) of each block; weights lie as (kernel, kernel, in, out)."""
        for node, layer in zip(self.description["nodes"], self.layers):
            for block in node["blocks"]:
                parameter = layer.weight if len(block["shape"]) == 4 else layer.bias
                yield parameter, block["shape"], slice(block["offset"], block["offset"] + block["size"])

    def load(self, parameters):
        """Takes over a flat buffer of parameters."""
        flat = torch.as_tensor(parameters)
        with torch.no_grad():
            for parameter, shape, place in self._blocks():
                values = flat[place].view(shape)
                parameter.copy_(values.permute(3, 2, 0, 1) if len(shape) == 4 else values)

    def flat(self, of):
        """What `of` makes of each parameter, its gradient for example, laid out as the flat buffer."""
        out = torch.zeros(self.description["parameters"], dtype=next(self.parameters()).dtype)
        for parameter, shape, place in self._blocks():
            values = of(parameter)
            out[place] = (values.permute(2, 3, 1, 0) if len(shape) == 4 else values).reshape(-1)
        return out

    def forward(self, x):
        samples, tiles = x.shape[0], x.shape[1]
        slope, cap = self.description["slope"], self.description["cap"]
        outputs = []
        for node, layer in zip(self.description["nodes"], self.layers):
            parts = [self._linked(x if s["node"] < 0 else outputs[s["node"]], s["link"]) for s in node["sources"]]
            if node["kind"] == "addition":
                y = parts[0] + parts[1]
            else:
                cells = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
                if node["halo"]:
                    halo = self.halos[node["halo"]]
                    cells = (halo.fill(cells, "gather") if self.way == "autograd"
                             else _Fill.apply(cells, halo, self.way))
                y = layer(cells.flatten(0, 1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).unflatten(0, (samples, tiles))
            if node["active"]:
                y = (F.leaky_relu(y, slope).clamp(max=cap) if self.way == "autograd"
                     else _Activation.apply(y, slope, cap))
            outputs.append(y)
        return outputs[-1]

    @staticmethod
    def _linked(cells, link):
        if link == "halo":
            return cells
        images = cells.flatten(0, 1).permute(0, 3, 1, 2)
        images = (F.avg_pool2d(images, 2) if link == "pool_halo"
                  else F.interpolate(images, scale_factor=2, mode="nearest"))
        return images.permute(0, 2, 3, 1).unflatten(0, cells.shape[:2])


def weighted_loss(prediction, target, weight):
    """Mean over samples of 1/V sum over variables and cells of weight * (prediction - target)^2; weight (tiles, T, T)
    sums to one."""
    error = (prediction - target).float() if prediction.dtype == torch.bfloat16 else prediction - target
    return (error.square() * weight[..., None]).sum() / (prediction.shape[0] * prediction.shape[-1])
