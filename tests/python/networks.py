"""Networks whose parameters and operations are published, written with torch.nn alone.

resnet(18), resnet(50)   He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1. As in torchvision, the 3x3
                         convolution of a bottleneck has the stride.
mobilenet_v3_large()     Howard et al., "Searching for MobileNetV3", ICCV 2019, table 1
bert_base()              Devlin et al., "BERT", NAACL 2019, without a head; attention is written out
"""
import math

import torch
from torch import nn


def convolution(inputs, outputs, kernel, stride=1, groups=1, activation=None):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride, layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shortcut = nn.Identity() if stride == 1 and inputs == outputs else convolution(inputs, outputs, 1, stride)

    def forward(self, x):
        return torch.relu(self.layers(x) + self.shortcut(x))


def basic(inputs, width, stride):
    return Residual(inputs, width, stride, [convolution(inputs, width, 3, stride, activation=nn.ReLU), convolution(width, width, 3)])


def bottleneck(inputs, width, stride):
    return Residual(inputs, 4 * width, stride, [convolution(inputs, width, 1, activation=nn.ReLU),
                                                convolution(width, width, 3, stride, activation=nn.ReLU),
                                                convolution(width, 4 * width, 1)])


def resnet(depth):
    block, numbers, widening = {18: (basic, (2, 2, 2, 2), 1), 50: (bottleneck, (3, 4, 6, 3), 4)}[depth]
    layers, inputs = [convolution(3, 64, 7, 2, activation=nn.ReLU), nn.MaxPool2d(3, 2, 1)], 64
    for stage, number in enumerate(numbers):
        for at in range(number):
            layers.append(block(inputs, 64 << stage, 2 if stage > 0 and at == 0 else 1))
            inputs = widening * 64 << stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, squeezed):
        super().__init__()
        self.weigh = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, squeezed, 1), nn.ReLU(),
                                   nn.Conv2d(squeezed, channels, 1), nn.Hardsigmoid())

    def forward(self, x):
        return x * self.weigh(x)


class InvertedResidual(nn.Module):
    def __init__(self, inputs, kernel, expanded, outputs, squeezed, activation, stride):
        super().__init__()
        layers = [convolution(inputs, expanded, 1, activation=activation)] if expanded != inputs else []
        layers.append(convolution(expanded, expanded, kernel, stride, groups=expanded, activation=activation))
        if squeezed:
            layers.append(SqueezeExcitation(expanded, squeezed))
        self.layers = nn.Sequential(*layers, convolution(expanded, outputs, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.adds else self.layers(x)


def mobilenet_v3_large():
    relu, swish = nn.ReLU, nn.Hardswish
    # kernel, expanded, outputs, squeezed, activation, stride
    rows = [(3, 16, 16, 0, relu, 1), (3, 64, 24, 0, relu, 2), (3, 72, 24, 0, relu, 1), (5, 72, 40, 24, relu, 2),
            (5, 120, 40, 32, relu, 1), (5, 120, 40, 32, relu, 1), (3, 240, 80, 0, swish, 2), (3, 200, 80, 0, swish, 1),
            (3, 184, 80, 0, swish, 1), (3, 184, 80, 0, swish, 1), (3, 480, 112, 120, swish, 1), (3, 672, 112, 168, swish, 1),
            (5, 672, 160, 168, swish, 2), (5, 960, 160, 240, swish, 1), (5, 960, 160, 240, swish, 1)]
    layers, inputs = [convolution(3, 16, 3, 2, activation=swish)], 16
    for kernel, expanded, outputs, squeezed, activation, stride in rows:
        layers.append(InvertedResidual(inputs, kernel, expanded, outputs, squeezed, activation, stride))
        inputs = outputs
    layers.append(convolution(inputs, 960, 1, activation=swish))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(960, 1280), swish(), nn.Dropout(0.2),
                         nn.Linear(1280, 1000))


class Attention(nn.Module):
    """Of several heads, without a mask."""

    def __init__(self, width, heads):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.heads = heads

    def forward(self, x):
        batch, length, width = x.shape
        query, key, value = (layer(x).view(batch, length, self.heads, width // self.heads).transpose(1, 2)
                             for layer in (self.query, self.key, self.value))
        scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(width // self.heads)
        mixed = torch.matmul(torch.softmax(scores, -1), value)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Encoder(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.attention, self.attention_norm = Attention(width, heads), nn.LayerNorm(width)
        self.inner, self.outer, self.norm = nn.Linear(width, inner), nn.Linear(inner, width), nn.LayerNorm(width)

    def forward(self, x):
        x = self.attention_norm(x + self.attention(x))
        return self.norm(x + self.outer(nn.functional.gelu(self.inner(x))))


class Bert(nn.Module):
    def __init__(self, width, heads, blocks, words=30522, positions=512):
        super().__init__()
        self.words, self.positions, self.kinds = (nn.Embedding(number, width) for number in (words, positions, 2))
        self.norm = nn.LayerNorm(width)
        self.encoders = nn.ModuleList(Encoder(width, heads, 4 * width) for _ in range(blocks))
        self.pooler = nn.Linear(width, width)

    def forward(self, input_ids, token_type_ids):
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.norm(self.words(input_ids) + self.positions(positions) + self.kinds(token_type_ids))
        for encoder in self.encoders:
            x = encoder(x)
        return {"all": x, "pooled": torch.tanh(self.pooler(x[:, 0]))}


def bert_base():
    return Bert(768, 12, 12)
