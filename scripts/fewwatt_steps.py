"""Tells `fewwatt profile` that a minibatch is done. Python 3.6 or newer, nothing else; copy it where it is needed.

    from fewwatt_steps import step          from fewwatt_steps import steps
    for batch in loader:                    for batch in steps(loader):
        train(batch)                            train(batch)
        step()

    lightning.Trainer(..., callbacks=[fewwatt_steps.lightning_callback()])
    transformers.Trainer(..., callbacks=[fewwatt_steps.transformers_callback()])
    keras_model.fit(..., callbacks=[fewwatt_steps.keras_callback()])

Outside `fewwatt profile` all of these do nothing. A GPU works on after the call that launched its kernels has returned: where the
loop reads nothing back (loss.item()), steps arrive in bursts at first, and at the GPU's pace once its queue is full.

describe(model, sample) counts the parameters, layers and FLOPs of a PyTorch module, from which fewwatt predicts a workload before
anything is measured:

    describe(model, images).save("net.ini")             # then: fewwatt adapt --config net.ini ...

Launchers (torchrun, accelerate launch, conda run) close the descriptor that steps go to; then they go through the named pipe that
FEWWATT_STEP_PATH names. Where several processes train together, only one of them should call step(). A container needs
that variable, and the pipe's folder:

    sh -c 'd=${FEWWATT_STEP_PATH%/*}; exec docker run -e FEWWATT_STEP_PATH -v "$d:$d" IMAGE python3 train.py'

In other languages: write one newline per minibatch to the descriptor whose number is in FEWWATT_STEP_FD, or open
the pipe FEWWATT_STEP_PATH and write there.
"""
import importlib
import math
import os
import stat
import sys

__all__ = ["step", "steps", "lightning_callback", "transformers_callback", "keras_callback", "describe", "Characteristics"]


def _pipe_of(fd):
    """What tells the pipe from a file that gets its number later; None when fd is no pipe."""
    try:
        status = os.fstat(fd)
    except (OSError, OverflowError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISFIFO(status.st_mode) else None


def _inherited():
    """The descriptor that was passed on, and its pipe; another pipe may have its number where a launcher has closed it."""
    try:
        fd = int(os.environ.get("FEWWATT_STEP_FD", "-1"))
    except ValueError:
        return -1, None
    pipe = _pipe_of(fd) if fd >= 0 else None
    if pipe is not None and os.environ.get("FEWWATT_STEP_PIPE", str(pipe[1])) != str(pipe[1]):
        pipe = None
    return fd, pipe


def _opened():
    """The named pipe, opened. Never through a link, never a file that is something else, never waiting for a reader."""
    path = os.environ.get("FEWWATT_STEP_PATH")
    if not path:
        return -1, None
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)
    except (OSError, ValueError):
        return -1, None
    pipe = _pipe_of(fd)
    if pipe is None:
        os.close(fd)
        return -1, None
    os.set_blocking(fd, True)
    return fd, pipe


_fd, _pipe = _inherited()
if _pipe is None:
    _fd, _pipe = _opened()


def step():
    """Says that one minibatch is done. Never raises; falls silent when nobody listens any more."""
    global _fd, _pipe
    if _pipe is None:
        return
    try:
        if _pipe_of(_fd) != _pipe:  # closed since, as by what makes a daemon of the program
            _fd, _pipe = _opened()
        if _pipe is not None:
            os.write(_fd, b"\n")
            return
    except OSError:
        pass
    _pipe = None


def steps(iterable, every=1):
    """The items of iterable; step() after each, when the loop asks for the next one. every: step() after so many items, for a loop
    that updates the weights once in so many minibatches. Raises ValueError where that is no whole number above 0."""
    if not isinstance(every, int) or every < 1:
        raise ValueError("steps: every: expected a whole number above 0, found {!r}".format(every))
    for number, item in enumerate(iterable, 1):
        yield item
        if number % every == 0:
            step()


# Callbacks. Each is made of the library's own class, and nothing is imported before one is asked for. A step is one update of the
# weights, reported by one process of those that train together.


def _class_in(name, *modules):
    """The class of that name in the first of these modules whose package the program has imported, else in the first there is."""
    for module in sorted(modules, key=lambda module: module.split(".")[0] not in sys.modules):
        try:
            return getattr(importlib.import_module(module), name)
        except ImportError:
            pass
    raise ImportError("fewwatt_steps: expected one of these modules: " + ", ".join(modules))


def lightning_callback():
    """A callback for Lightning: Trainer(callbacks=[lightning_callback()])."""

    class Steps(_class_in("Callback", "lightning.pytorch", "pytorch_lightning")):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, *unused):
            done = batch_idx + 1
            updated = done % trainer.accumulate_grad_batches == 0 or done == trainer.num_training_batches
            if updated and trainer.is_global_zero:
                step()

    return Steps()


def transformers_callback():
    """A callback for the Trainer of Hugging Face: Trainer(callbacks=[transformers_callback()])."""

    class Steps(_class_in("TrainerCallback", "transformers")):
        def on_step_end(self, args, state, control, **unused):
            if state.is_world_process_zero:
                step()

    return Steps()


def keras_callback():
    """A callback for Keras: model.fit(callbacks=[keras_callback()]). A step is one minibatch, however many run in one execution."""

    class Steps(_class_in("Callback", "tf_keras.callbacks", "keras.callbacks", "tensorflow.keras.callbacks")):
        def on_train_batch_begin(self, batch, logs=None):
            self.first_batch = batch

        def on_train_batch_end(self, batch, logs=None):
            for _ in range(self.first_batch, batch + 1):
                step()

    return Steps()


# What is known of a network before it runs.


class Characteristics(dict):
    """batch_size, layers, parameters and flops of a workload, numbers above 0; what is not known is left out."""

    def options(self):
        """As options of fewwatt adapt and fewwatt profile: ["--batch-size=16", ...]."""
        return ["--{}={}".format(name.replace("_", "-"), value) for name, value in self.items()]

    def save(self, path):
        """Writes a file for --config of fewwatt adapt and fewwatt profile. Raises OSError."""
        with open(path, "w") as file:
            file.writelines(option[2:].replace("=", " = ") + "\n" for option in self.options())


def describe(model, sample, batch_size=None):
    """Characteristics of a torch.nn.Module, of one forward pass. Needs PyTorch 1.13 or newer.

    sample: what the module is called with, a minibatch as the workload has it: a tensor; a tuple of positional or a dict of keyword
    arguments; anything else is a single argument. Tensors among these arguments are moved to the module's device.
    batch_size: samples in it; None: the first dimension of the first tensor.

    parameters  all of the module; shared ones count once.
    flops       of one sample: multiplications, each with its addition, of convolutions, matrix products, attention and recurrent
                layers. Norms, activations and what else works element by element are not counted. Published counts mean the same
                where ResNet-18 has 1.8 G; a count in which it has 3.6 G is twice as high.
    layers      the convolutions and linear layers on the longest way from input to output, as in "ResNet-18". A depthwise convolution
                and the 1x1 convolutions beside it in a module are one layer. Recurrent layers count as they are; an attention
                is one layer, and where there are recurrent layers or attention, linear layers do not count: BERT-base has 12.

    The module runs in evaluation mode, without a backward pass. Afterwards it is as before, and so are the random number generators,
    also where its forward pass raises. Raises TypeError for what is no module, ValueError for a module that gets its parameters in
    its first call, or a sample without a batch size."""
    import torch

    if tuple(map(int, torch.__version__.split(".")[:2])) < (1, 13):
        raise RuntimeError("describe: expected PyTorch 1.13 or newer, found " + torch.__version__)
    if not isinstance(model, torch.nn.Module):
        raise TypeError("describe: model: expected a torch.nn.Module, found " + type(model).__name__)
    model = getattr(model, "_orig_mod", model)  # what torch.compile was given
    if isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        model = model.module
    parameters = list(model.parameters())
    if any(map(torch.nn.parameter.is_lazy, parameters)):
        raise ValueError("describe: model: expected parameters with shapes, found lazy ones: call the model once before")
    positional, named = [sample], {}
    if type(sample) is tuple:  # a subclass, as a PackedSequence, is one argument
        positional = list(sample)
    elif hasattr(sample, "items") and hasattr(sample, "keys"):
        positional, named = [], dict(sample.items())
    if batch_size is None:
        tensors = [value for value in positional + list(named.values()) if isinstance(value, torch.Tensor)]
        batch_size = next((tensor.shape[0] for tensor in tensors if tensor.dim() > 0), None)
        if batch_size is None:
            raise ValueError("describe: sample: expected a tensor with a batch dimension, found none: give batch_size")
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError("describe: batch_size: expected a whole number above 0, found {!r}".format(batch_size))

    def moved(value):
        return value.to(parameters[0].device) if parameters and isinstance(value, torch.Tensor) else value

    operations, layers = _count(torch, model, list(map(moved, positional)), {name: moved(named[name]) for name in named})
    counts = [("batch_size", batch_size), ("layers", layers), ("parameters", sum(each.numel() for each in parameters)),
              ("flops", int(round(operations / batch_size)))]
    return Characteristics((name, count) for name, count in counts if count > 0)


# How many layers an operator or a module adds to a way through the network: of all kinds, of all but linear ones, of attention and
# recurrent layers alone. Attention in single operators is two products without weights, queries by keys and what comes of these by
# values.
_NO_LAYER, _LINEAR, _CONVOLUTION, _ATTENTION, _PRODUCT = (0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1), (0, 0.5, 0.5)

# Where an operator has the first of the two factors of a product, or the weights of all that it does.
_FACTORS = {"mm": 0, "mv": 0, "dot": 0, "bmm": 0, "linear": 0, "addmm": 1, "addmv": 1, "baddbmm": 1, "_addmm_activation": 1}
_WEIGHTS = {"_native_multi_head_attention": (5, 7), "_transformer_encoder_layer_fwd": (3, 5, 14, 16)}


def _work_of(operator, args, out, is_weight):
    """The multiplications with an addition of one of PyTorch's operators, and the layers that it adds."""
    if operator in ("convolution", "_convolution"):
        weight, transposed = args[1], args[6]
        return (args[0] if transposed else out).numel() * (weight.numel() // weight.shape[0]), _CONVOLUTION
    if operator in _FACTORS:
        factors = args[_FACTORS[operator]:][:2]
        return out.numel() * factors[0].shape[-1], _LINEAR if any(map(is_weight, factors)) else _PRODUCT
    if operator.startswith("_scaled_dot_product"):
        query, key, value = args[:3]
        return query.numel() // query.shape[-1] * key.shape[-2] * (query.shape[-1] + value.shape[-1]), _ATTENTION
    if operator in _WEIGHTS:  # [batch, length, width]; self-attention, of all heads together
        batch, length, width = args[0].shape
        weights = sum(args[at].numel() for at in _WEIGHTS[operator])
        return batch * length * (weights + 2 * length * width), _ATTENTION
    if operator in ("_cudnn_rnn", "miopen_rnn", "mkldnn_rnn_layer"):  # each weight of a matrix at each point of time
        weights = args[1:5] if operator == "mkldnn_rnn_layer" else args[1]
        times = args[0].numel() // args[0].shape[-1]
        return times * sum(weight.numel() for weight in weights if weight.dim() == 2), _NO_LAYER
    return 0, _NO_LAYER


def _modules_that_are_layers(torch, model):
    """What modules add to a way that their operators would count otherwise."""
    nn = torch.nn
    weighted = (nn.modules.conv._ConvNd, nn.Linear)

    def is_depthwise(layer):
        return layer.groups > 1 and layer.groups == layer.in_channels

    def is_separable(module):  # one depthwise convolution, and others that mix channels at a point
        layers = [each for each in module.modules() if isinstance(each, weighted)]
        wide = [each for each in layers if not isinstance(each, nn.Linear) and set(each.kernel_size) != {1}]
        return len(layers) > 1 and len(wide) == 1 and is_depthwise(wide[0])

    separable = {module for module in model.modules() if is_separable(module)}
    inner = {module for module in separable if separable.isdisjoint(set(module.modules()) - {module})}
    layers = {module: _CONVOLUTION for module in inner}
    layers.update((module, (module.num_layers,) * 3) for module in model.modules() if isinstance(module, nn.RNNBase))
    return layers


def _count(torch, model, positional, named):
    """The multiplications with an addition in a forward pass, and the layers on the longest way through it."""
    from torch.utils._python_dispatch import TorchDispatchMode

    def tensors_in(value):
        if isinstance(value, torch.Tensor):
            return [value]
        if hasattr(value, "__dataclass_fields__"):
            value = vars(value)
        if isinstance(value, dict):
            value = list(value.values())
        return [tensor for each in value for tensor in tensors_in(each)] if isinstance(value, (list, tuple)) else []

    def place_of(tensor):
        try:
            return (tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage())._cdata
        except RuntimeError:  # it has none, as a sparse tensor
            return id(tensor)

    # By storage, which views share: the layers on the longest way to what lies there, and whether that is made of parameters alone.
    # Whatever writes into a storage is seen here, so that one that is freed and used again does not keep what it had.
    depths, weights = {}, set(map(place_of, model.parameters()))
    operations = [0]

    def is_weight(value):
        return isinstance(value, torch.Tensor) and place_of(value) in weights

    def put(made, used, layers):
        places = list(map(place_of, tensors_in(used)))
        deepest = [max(kind) for kind in zip(_NO_LAYER, *(depths.get(place, _NO_LAYER) for place in places))]
        of_weights = places and layers == _NO_LAYER and weights.issuperset(places)
        for place in map(place_of, tensors_in(made)):
            depths[place] = [before + own for before, own in zip(deepest, layers)]
            (weights.add if of_weights else weights.discard)(place)

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if torch.is_inference_mode_enabled():  # there, operators arrive whole that others are made of
                with self:
                    made = func.decompose(*args, **kwargs)
                if made is not NotImplemented:
                    return made
            made = func(*args, **kwargs)
            namespace, operator = func._schema.name.split("::")
            work, layers = 0, _NO_LAYER
            if namespace == "aten":
                work, layers = _work_of(operator.rstrip("_"), args, made, is_weight)
            operations[0] += work
            put(made, (args, kwargs), layers)
            return made

    modules = _modules_that_are_layers(torch, model)
    training = [(module, module.training) for module in model.modules()]
    gpus = {each.device for each in model.parameters() if each.device.type == "cuda"}
    hooks = []
    try:
        for module in modules:
            hooks.append(module.register_forward_hook(lambda module, used, made: put(made, used, modules[module])))
        model.eval()
        # With gradients, since PyTorch would run attention in operators without parts otherwise; what backward passes need is dropped.
        with torch.random.fork_rng(devices=list(gpus)), torch.enable_grad(), \
                torch.autograd.graph.saved_tensors_hooks(lambda tensor: None, lambda nothing: None), Counter():
            made = model(*positional, **named)
    finally:
        for hook in hooks:
            hook.remove()
        for module, was in training:
            module.training = was

    ways = [depths.get(place_of(tensor), _NO_LAYER) for tensor in tensors_in(made)]
    every, without_linear, special = (max(kind) for kind in zip(_NO_LAYER, *ways))
    return operations[0], int(math.ceil(every if special < 1 else without_linear))
